// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"path"
	"time"

	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// settings are the fields of a spec that decide what is scanned and what is kept of it, with
// every default filled in. The API server fills them in as well; a SIFScan stored before a
// field existed has no value for it.
type settings struct {
	// Of the kind of target, the others are nil; without any, a volume is scanned.
	List      *v1alpha1.ListTarget      `json:"list,omitempty"`
	Directory *v1alpha1.DirectoryTarget `json:"directory,omitempty"`
	Image     *v1alpha1.ImageTarget     `json:"image,omitempty"`
	Running   *v1alpha1.RunningTarget   `json:"running,omitempty"`

	ClaimName string                 `json:"claimName,omitempty"`
	SubPath   string                 `json:"subPath,omitempty"`
	MountPath string                 `json:"mountPath,omitempty"`
	Paths     []string               `json:"paths,omitempty"`
	Exclude   []string               `json:"exclude,omitempty"`
	FileNames []string               `json:"fileNames,omitempty"`
	Engine    v1alpha1.Engine        `json:"engine,omitempty"`
	Formats   []string               `json:"formats,omitempty"`
	Reports   []string               `json:"reportFormats,omitempty"`
	Timeout   time.Duration          `json:"timeout,omitempty"`
	Rescan    v1alpha1.RescanPolicy  `json:"rescan,omitempty"`
	Artifacts v1alpha1.ArtifactStore `json:"artifacts,omitempty"`
	// Database is what the spec names; the operator's default is no part of a run.
	Database    *v1alpha1.DatabaseSource `json:"database,omitempty"`
	MaxFindings *int32                   `json:"maxFindings,omitempty"`
	// ReportVolume is where artifacts: Volume keeps documents: a run that keeps them elsewhere is another.
	ReportVolume *v1alpha1.ReportVolume `json:"reportVolume,omitempty"`
	Policy       *v1alpha1.Policy       `json:"policy,omitempty"`

	ScanTypes   []string `json:"scanTypes,omitempty"`
	ExcludeDirs []string `json:"excludeDirs,omitempty"`
	// Offline is of qscanner alone: the other engines always are.
	Offline  bool                     `json:"offline,omitempty"`
	Qscanner *v1alpha1.QscannerEngine `json:"qscanner,omitempty"`
	Trivy    *v1alpha1.TrivyDatabase  `json:"trivy,omitempty"`
}

// Defaults, as the markers in api/v1alpha1 state them.
const (
	defaultTimeout = 30 * time.Minute
	defaultTTL     = 24 * time.Hour

	defaultMaxFindings = 20
)

func resolve(spec *v1alpha1.SIFScanSpec) settings {
	volume := spec.Target.Volume
	if volume == nil {
		volume = &v1alpha1.VolumeTarget{}
	}
	s := settings{
		ClaimName: volume.ClaimName,
		SubPath:   cleanSubPath(volume.SubPath),
		MountPath: path.Clean("/" + volume.MountPath),
		Paths:     texts(volume.Paths, "**"),
		Exclude:   texts(volume.Exclude),
		FileNames: texts(volume.FileNames, "*.sif", "*.simg", "*.sqsh", "*.squashfs", "*.img"),
		Engine:    or(spec.Scanner.Engine, v1alpha1.EngineNative),
		Formats:   texts(spec.Scanner.Formats, string(v1alpha1.FormatJSON), string(v1alpha1.FormatSPDX)),
		Reports:   texts(spec.Scanner.ReportFormats, string(v1alpha1.ReportSARIF)),
		Timeout:   defaultTimeout,
		Rescan:    or(spec.Rescan, v1alpha1.RescanWhenChanged),
		Artifacts: or(spec.Reports.Artifacts, v1alpha1.ArtifactsConfigMap),

		MaxFindings: ptr.To(ptr.Deref(spec.Reports.MaxFindings, defaultMaxFindings)),
		Policy:      spec.Policy,

		ScanTypes:   texts(spec.Scanner.ScanTypes, string(v1alpha1.ScanPackages), string(v1alpha1.ScanFileInsight)),
		ExcludeDirs: texts(spec.Scanner.ExcludeDirs),
	}
	s.resolveTarget(&spec.Target)
	s.resolveEngine(&spec.Scanner)
	if v := spec.Reports.Volume; v != nil {
		s.ReportVolume = &v1alpha1.ReportVolume{ClaimName: v.ClaimName, SubPath: cleanSubPath(v.SubPath)}
	}
	if t := spec.Scanner.Timeout; t != nil {
		s.Timeout = t.Duration
	}
	return s
}

// resolveTarget takes over what is no volume.
func (s *settings) resolveTarget(t *v1alpha1.Target) {
	if t.List != nil {
		s.List = t.List.DeepCopy()
		s.List.ConfigMap.Key = or(s.List.ConfigMap.Key, "targets.txt")
		for i := range s.List.Volumes {
			s.List.Volumes[i].MountPath = path.Clean("/" + s.List.Volumes[i].MountPath)
		}
	}
	if t.Directory != nil {
		s.Directory = t.Directory.DeepCopy()
		s.Directory.SubPath = cleanSubPath(s.Directory.SubPath)
		s.Directory.Path = path.Clean("/" + s.Directory.Path)
		s.Directory.Kind = or(s.Directory.Kind, v1alpha1.DirectoryRootfs)
	}
	s.Image = t.Image.DeepCopy()
	if s.Running = t.Running.DeepCopy(); s.Running != nil {
		s.Running.PodNamespaces = asSet(s.Running.PodNamespaces)
	}
}

// resolveEngine takes over what is the chosen engine's own.
func (s *settings) resolveEngine(scanner *v1alpha1.Scanner) {
	switch s.Engine {
	case v1alpha1.EngineNative:
		if scanner.Native != nil {
			s.Database = scanner.Native.Database
		}
	case v1alpha1.EngineQscanner:
		s.Offline = ptr.Deref(scanner.Offline, false)
		s.Qscanner = &v1alpha1.QscannerEngine{}
		if scanner.Qscanner != nil {
			s.Qscanner = scanner.Qscanner.DeepCopy()
		}
		s.Qscanner.Mode = or(s.Qscanner.Mode, v1alpha1.QscannerGetReport)
	case v1alpha1.EngineTrivy:
		if scanner.Trivy != nil {
			s.Trivy = scanner.Trivy.Database
		}
	}
}

// cleanSubPath gives one spelling to each folder; the volume's root is the empty one.
func cleanSubPath(p string) string {
	if p = path.Clean(p); p == "." {
		return ""
	}
	return p
}

func or[T ~string](value, fallback T) T {
	if value == "" {
		return fallback
	}
	return value
}

func texts[T ~string](values []T, fallback ...string) []string {
	if len(values) == 0 {
		return fallback
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
