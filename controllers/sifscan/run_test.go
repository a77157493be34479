// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func duration(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }

// The ids below are in the status of stored SIFScans. A test that needs a new one here starts
// every scan of every cluster again.
func TestRunIDStaysTheSameAcrossReleases(t *testing.T) {
	for _, tc := range []struct {
		name string
		scan *scanWrapper
		want string
	}{
		{"only a claim", makeScan(), "v1-979ab1d1e7cee518"},
		{"every setting", makeScan().with(everySetting).annotation(v1alpha1.AnnotationRescanAt, "2026-03-01"), "v1-6db5506c5d3c1fd6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.scan.run(); got != tc.want {
				t.Errorf("RunID = %s, want %s", got, tc.want)
			}
		})
	}
}

func everySetting(s *v1alpha1.SIFScan) {
	*s.Spec.Target.Volume = v1alpha1.VolumeTarget{
		ClaimName: "shared", SubPath: "images", MountPath: "/shared/containers",
		Paths: []v1alpha1.PathPattern{"a/**", "b.sif"}, Exclude: []v1alpha1.PathPattern{"a/tmp"}, FileNames: []v1alpha1.NamePattern{"*.sif"},
	}
	s.Spec.Scanner = v1alpha1.Scanner{Formats: []v1alpha1.Format{v1alpha1.FormatCycloneDX}, Timeout: duration(time.Hour)}
	s.Spec.Rescan = v1alpha1.RescanAlways
	s.Spec.Reports.Artifacts = v1alpha1.ArtifactsNone
}

func TestRunIDIsTheSame(t *testing.T) {
	for name, scan := range map[string]*scanWrapper{
		"when every default is written out": makeScan().with(func(s *v1alpha1.SIFScan) {
			*s.Spec.Target.Volume = v1alpha1.VolumeTarget{
				ClaimName: "shared", MountPath: "/", Paths: []v1alpha1.PathPattern{"**"},
				FileNames: []v1alpha1.NamePattern{"*.sif", "*.simg", "*.sqsh", "*.squashfs", "*.img"},
			}
			s.Spec.Scanner = v1alpha1.Scanner{
				Engine: v1alpha1.EngineNative, Timeout: duration(30 * time.Minute),
				Formats:       []v1alpha1.Format{v1alpha1.FormatJSON, v1alpha1.FormatSPDX},
				ReportFormats: []v1alpha1.ReportFormat{v1alpha1.ReportSARIF},
			}
			s.Spec.Scanner.ScanTypes = []v1alpha1.ScanType{v1alpha1.ScanFileInsight, v1alpha1.ScanPackages}
			s.Spec.Scanner.Offline = ptr.To(true)
			s.Spec.Rescan = v1alpha1.RescanWhenChanged
			s.Spec.Reports.Artifacts = v1alpha1.ArtifactsConfigMap
		}),
		"when the formats are named in another order": makeScan().with(func(s *v1alpha1.SIFScan) {
			s.Spec.Scanner.Formats = []v1alpha1.Format{v1alpha1.FormatSPDX, v1alpha1.FormatJSON}
		}),
		"when a slash is added to the volume's root": makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.SubPath, v.MountPath = "./", "//" }),
		"when the scan is suspended":                 makeScan().with(func(s *v1alpha1.SIFScan) { s.Spec.Suspend = true }),
		"when Jobs are kept longer":                  makeScan().with(func(s *v1alpha1.SIFScan) { s.Spec.TTLAfterFinished = duration(time.Hour) }),
		"when resources change": makeScan().with(func(s *v1alpha1.SIFScan) {
			s.Spec.Resources.Limits = quantities("memory", "8Gi")
		}),
		"when tmp changes": makeScan().with(func(s *v1alpha1.SIFScan) {
			s.Spec.Tmp = v1alpha1.Tmp{Medium: corev1.StorageMediumMemory, SizeLimit: ptr.To(resource.MustParse("1Gi"))}
		}),
		"when scheduling changes": makeScan().with(func(s *v1alpha1.SIFScan) {
			s.Spec.Scheduling = v1alpha1.Scheduling{NodeSelector: map[string]string{"a": "b"}, Tolerations: []corev1.Toleration{{Key: "k"}}}
		}),
		"when another annotation changes": makeScan().annotation("example.com/a", "b"),
		"for a SIFScan of another name":   makeScan().with(func(s *v1alpha1.SIFScan) { s.Name = "other" }),
	} {
		t.Run(name, func(t *testing.T) {
			if got, want := scan.run(), makeScan().run(); got != want {
				t.Errorf("RunID = %s, want %s", got, want)
			}
		})
	}
}

func TestRunIDDiffers(t *testing.T) {
	seen := map[string]string{makeScan().run(): "the scan itself"}
	for name, scan := range map[string]*scanWrapper{
		"for another claim":      makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.ClaimName = "other" }),
		"for another folder":     makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.SubPath = "images" }),
		"for another mount path": makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.MountPath = "/shared" }),
		"for other paths":        makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.Paths = []v1alpha1.PathPattern{"a"} }),
		"for the paths excluded": makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.Exclude = []v1alpha1.PathPattern{"a"} }),
		"for other file names":   makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.FileNames = []v1alpha1.NamePattern{"a"} }),
		"for other formats":      makeScan().with(func(s *v1alpha1.SIFScan) { s.Spec.Scanner.Formats = []v1alpha1.Format{v1alpha1.FormatSPDX} }),
		"for other reports": makeScan().with(func(s *v1alpha1.SIFScan) {
			s.Spec.Scanner.ReportFormats = []v1alpha1.ReportFormat{v1alpha1.ReportTable}
		}),
		"for another timeout": makeScan().with(func(s *v1alpha1.SIFScan) { s.Spec.Scanner.Timeout = duration(time.Minute) }),
		"for other scan types": makeScan().with(func(s *v1alpha1.SIFScan) {
			s.Spec.Scanner.ScanTypes = []v1alpha1.ScanType{v1alpha1.ScanPackages}
		}),
		"for excluded directories": makeScan().with(func(s *v1alpha1.SIFScan) {
			s.Spec.Scanner.ExcludeDirs = []v1alpha1.ImageDirectory{"/opt"}
		}),
		"for trivy":                            makeScan().with(withTrivy),
		"for qscanner":                         makeScan().with(withQscanner),
		"for qscanner with another platform":   makeScan().with(withQscanner).qscanner(func(q *v1alpha1.QscannerEngine) { q.Platform = "EU1" }),
		"for qscanner in another mode":         makeScan().with(withQscanner).qscanner(func(q *v1alpha1.QscannerEngine) { q.Mode = v1alpha1.QscannerEvaluatePolicy }),
		"for qscanner with policy tags":        makeScan().with(withQscanner).qscanner(func(q *v1alpha1.QscannerEngine) { q.PolicyTags = []v1alpha1.PolicyTag{"a"} }),
		"for qscanner with another token":      makeScan().with(withQscanner).qscanner(func(q *v1alpha1.QscannerEngine) { q.CredentialsSecretName = "other" }),
		"for qscanner without a Java database": makeScan().with(withQscanner).with(func(s *v1alpha1.SIFScan) { s.Spec.Scanner.Offline = ptr.To(true) }),
		"for another policy":                   makeScan().with(func(s *v1alpha1.SIFScan) { s.Spec.Rescan = v1alpha1.RescanAlways }),
		"for another store":                    makeScan().with(func(s *v1alpha1.SIFScan) { s.Spec.Reports.Artifacts = v1alpha1.ArtifactsNone }),
		"when asked to run again":              makeScan().annotation(v1alpha1.AnnotationRescanAt, "now"),
		"when asked once more":                 makeScan().annotation(v1alpha1.AnnotationRescanAt, "later"),
	} {
		id := scan.run()
		if other, taken := seen[id]; taken {
			t.Errorf("%s: the id %s is also that of %q", name, id, other)
		}
		seen[id] = name
	}
}

func TestRunIDOfQscannerIsTheSameWithItsDefaultsWrittenOut(t *testing.T) {
	plain := makeScan().with(withQscanner).qscanner(func(q *v1alpha1.QscannerEngine) { q.PolicyTags = []v1alpha1.PolicyTag{"a", "b"} })
	written := makeScan().with(withQscanner).qscanner(func(q *v1alpha1.QscannerEngine) {
		q.Mode, q.PolicyTags = v1alpha1.QscannerGetReport, []v1alpha1.PolicyTag{"b", "a"}
	}).with(func(s *v1alpha1.SIFScan) { s.Spec.Scanner.Offline = ptr.To(false) })
	if got, want := written.run(), plain.run(); got != want {
		t.Errorf("RunID = %s, want %s", got, want)
	}
}
