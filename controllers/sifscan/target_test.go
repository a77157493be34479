// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// other is the second claim of scans that have two.
const otherUID = types.UID("07e40000-0000-4000-8000-000000000000")

func (w *scanWrapper) target(t v1alpha1.Target) *scanWrapper {
	w.Spec.Target = t
	return w
}

func listOf(volumes ...v1alpha1.ListVolume) v1alpha1.Target {
	return v1alpha1.Target{List: &v1alpha1.ListTarget{ConfigMap: v1alpha1.ListSource{Name: "targets"}, Volumes: volumes}}
}

func directoryOf(kind v1alpha1.DirectoryKind) v1alpha1.Target {
	return v1alpha1.Target{Directory: &v1alpha1.DirectoryTarget{ClaimName: "src", SubPath: "team", Path: "app/", Kind: kind}}
}

func imageOf(reference, secret string) v1alpha1.Target {
	return v1alpha1.Target{Image: &v1alpha1.ImageTarget{Reference: reference, PullSecretName: secret}}
}

func TestJobOfEachTarget(t *testing.T) {
	two := []v1alpha1.ListVolume{{ClaimName: "shared", MountPath: "/shared"}, {ClaimName: "other", MountPath: "/shared/other/"}}
	for name, tc := range map[string]struct {
		golden string
		target v1alpha1.Target
		uids   []types.UID
		ca     string
	}{
		"a list over two claims":                {"job-list.yaml", listOf(two...), []types.UID{claimUID, otherUID}, ""},
		"a directory of source code":            {"job-directory.yaml", directoryOf(v1alpha1.DirectoryRepository), []types.UID{claimUID}, ""},
		"an image of a site's private registry": {"job-image.yaml", imageOf("registry.example/team/app:1.0", "regcred"), nil, "site-ca"},
	} {
		t.Run(name, func(t *testing.T) {
			scan := makeScan().target(tc.target).obj()
			c := config
			c.RegistryCAConfigMap = tc.ca
			compareWithGolden(t, tc.golden, BuildJob(JobInputs{Scan: scan, Run: RunID(scan), Config: c, Identity: c.Identity, ClaimUIDs: tc.uids}))
		})
	}
}

func TestTheClaimsOfATargetAreMountedReadOnlyForTheScannerAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		target v1alpha1.Target
		claims []string
	}{
		"list":      {listOf(v1alpha1.ListVolume{ClaimName: "a", MountPath: "/a"}, v1alpha1.ListVolume{ClaimName: "b", MountPath: "/b"}), []string{"a", "b"}},
		"directory": {directoryOf(""), []string{"src"}},
		"image":     {imageOf("docker.io/library/nginx", ""), nil},
	} {
		t.Run(name, func(t *testing.T) {
			scan := makeScan().target(tc.target).obj()
			pod := BuildJob(JobInputs{Scan: scan, Run: RunID(scan), Config: config, ClaimUIDs: []types.UID{claimUID, otherUID}}).Spec.Template.Spec
			var mounted []string
			for _, v := range pod.Volumes {
				if v.PersistentVolumeClaim == nil {
					continue
				}
				mounted = append(mounted, v.PersistentVolumeClaim.ClaimName)
				if m := mountOf(pod.Containers[0], v.Name); !v.PersistentVolumeClaim.ReadOnly || m == nil || !m.ReadOnly {
					t.Errorf("claim %s is not read-only for the scanner", v.PersistentVolumeClaim.ClaimName)
				}
				if mountOf(pod.InitContainers[0], v.Name) != nil {
					t.Errorf("the reporter mounts claim %s", v.PersistentVolumeClaim.ClaimName)
				}
			}
			if diff := cmp.Diff(tc.claims, mounted); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCredentialsForARegistryAreTheScannersAlone(t *testing.T) {
	scan := makeScan().target(imageOf("registry.example/app", "regcred")).obj()
	pod := BuildJob(JobInputs{Scan: scan, Run: RunID(scan), Config: config}).Spec.Template.Spec
	found := false
	for _, e := range pod.Containers[0].Env {
		found = found || e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name == "regcred" && e.ValueFrom.SecretKeyRef.Optional == nil
	}
	if !found {
		t.Error("the scanner has no credentials, or kubelet would start it without")
	}
	for _, c := range pod.InitContainers {
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				t.Errorf("container %s has the Secret %s", c.Name, e.ValueFrom.SecretKeyRef.Name)
			}
		}
	}
}

func TestTmpIsAskedForWhereImagesAreFetched(t *testing.T) {
	for name, tc := range map[string]struct {
		scan *scanWrapper
		want bool
	}{
		"an image":                      {makeScan().target(imageOf("a/b", "")), true},
		"a list, and tmp":               {makeScan().target(listOf()).with(func(s *v1alpha1.SIFScan) { s.Spec.Tmp.Medium = "Memory" }), true},
		"a list that may name only SIF": {makeScan().target(listOf()), false},
		"a directory":                   {makeScan().target(directoryOf("")), false},
	} {
		if got := usesTmp(&tc.scan.Spec); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestRunIDsOfTargets(t *testing.T) {
	volumes := []v1alpha1.ListVolume{{ClaimName: "a", MountPath: "/a"}}
	same := map[string][2]v1alpha1.Target{
		"a list with its key written out": {listOf(volumes...), {List: &v1alpha1.ListTarget{
			ConfigMap: v1alpha1.ListSource{Name: "targets", Key: "targets.txt"}, Volumes: []v1alpha1.ListVolume{{ClaimName: "a", MountPath: "/a/"}}}}},
		"a directory with its kind written out": {directoryOf(""), {Directory: &v1alpha1.DirectoryTarget{
			ClaimName: "src", SubPath: "./team", Path: "/app", Kind: v1alpha1.DirectoryRootfs}}},
	}
	for name, pair := range same {
		if a, b := makeScan().target(pair[0]).run(), makeScan().target(pair[1]).run(); a != b {
			t.Errorf("%s: %s and %s", name, a, b)
		}
	}
	seen := map[string]string{makeScan().run(): "a volume"}
	for name, target := range map[string]v1alpha1.Target{
		"a list": listOf(volumes...), "a list without volumes": listOf(), "a directory": directoryOf(""), "a repository": directoryOf("repo"),
		"an image": imageOf("a", ""), "another image": imageOf("b", ""), "an image with an account": imageOf("a", "s"),
	} {
		id := makeScan().target(target).run()
		if other, taken := seen[id]; taken {
			t.Errorf("%s has the id of %s", name, other)
		}
		seen[id] = name
	}
}

func TestReportsAreLookedForWhereTheTargetsAre(t *testing.T) {
	for name, tc := range map[string]struct {
		target v1alpha1.Target
		want   []string
	}{
		"a list": {listOf(v1alpha1.ListVolume{ClaimName: "a"}, v1alpha1.ListVolume{ClaimName: "b"}), []string{
			"app.kubernetes.io/managed-by=sifscan-operator,sifscan.io/claim in (a,b)", "app.kubernetes.io/managed-by=sifscan-operator,!sifscan.io/claim"}},
		"an image":    {imageOf("a", ""), []string{"app.kubernetes.io/managed-by=sifscan-operator,!sifscan.io/claim"}},
		"a directory": {directoryOf(""), []string{"app.kubernetes.io/managed-by=sifscan-operator,sifscan.io/claim in (src)"}},
	} {
		s := resolve(&makeScan().target(tc.target).Spec)
		var got []string
		for _, selector := range s.reportSelectors() {
			got = append(got, selector.String())
		}
		slices.Sort(got)
		slices.Sort(tc.want)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNothingFoundNamesWhatWasLookedAt(t *testing.T) {
	for want, target := range map[string]v1alpha1.Target{
		"ConfigMap targets (key targets.txt): check the list":         listOf(),
		"directory /app of claim src: check spec.target.directory":    directoryOf(""),
		"image registry.example/a: check spec.target.image.reference": imageOf("registry.example/a", ""),
	} {
		h, _ := nothingFound(evidence{settings: resolve(&makeScan().target(target).Spec), tally: newTally()})
		if !strings.Contains(h.message, want) {
			t.Errorf("%q does not say %q", h.message, want)
		}
	}
}
