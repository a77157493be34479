// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const reportsUID = types.UID("4e904750-0000-4000-8000-000000000000")

// reportsOn keeps the documents of a scan on a volume.
func (w *scanWrapper) reportsOn(claim, subPath string) *scanWrapper {
	return w.with(func(s *v1alpha1.SIFScan) {
		s.Spec.Reports.Artifacts = v1alpha1.ArtifactsVolume
		s.Spec.Reports.Volume = &v1alpha1.ReportVolume{ClaimName: claim, SubPath: subPath}
	})
}

func TestDocumentsOnAVolume(t *testing.T) {
	scan := makeScan().reportsOn("reports", "security/$(POD_NAMESPACE)").obj()
	job := BuildJob(JobInputs{
		Scan: scan, Run: RunID(scan), Config: config, Identity: config.Identity, ClaimUIDs: []types.UID{claimUID}, ReportsUID: reportsUID,
	})
	compareWithGolden(t, "job-reports-volume.yaml", job)

	pod := job.Spec.Template.Spec
	for _, c := range pod.Containers {
		if mountOf(c, reportsVolume) != nil {
			t.Errorf("container %s mounts the volume for documents", c.Name)
		}
	}
	reporter := pod.InitContainers[len(pod.InitContainers)-1]
	mount := mountOf(reporter, reportsVolume)
	if mount == nil || mount.ReadOnly || mount.SubPath != "" {
		t.Errorf("the reporter's mount is %+v", mount)
	}
	at := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == reportsVolume })
	if claim := pod.Volumes[at].PersistentVolumeClaim; claim.ClaimName != "reports" || claim.ReadOnly {
		t.Errorf("the claim is %+v", claim)
	}
	if pod.SecurityContext.FSGroup != nil {
		t.Error("kubelet would change the owner of every file on the volume for documents")
	}
	if pod.Volumes[0].PersistentVolumeClaim.ReadOnly != true {
		t.Error("the claim that is scanned can be written to")
	}
}

func TestAnotherPlaceForDocumentsIsAnotherRun(t *testing.T) {
	seen := map[string]string{makeScan().run(): "ConfigMaps"}
	for name, scan := range map[string]*scanWrapper{
		"a volume":           makeScan().reportsOn("reports", ""),
		"another volume":     makeScan().reportsOn("other", ""),
		"a folder of it":     makeScan().reportsOn("reports", "a"),
		"a folder within it": makeScan().reportsOn("reports", "a/b"),
	} {
		id := scan.run()
		if other, taken := seen[id]; taken {
			t.Errorf("%s: the id %s is also that of %s", name, id, other)
		}
		seen[id] = name
	}
	if a, b := makeScan().reportsOn("reports", "a/b").run(), makeScan().reportsOn("reports", "a//b/.").run(); a != b {
		t.Error("another spelling of a folder is another run")
	}
}

func TestAScanWaitsForTheClaimOfItsDocuments(t *testing.T) {
	got := claimsOf(makeScan().reportsOn("reports", "").obj())
	if diff := cmp.Diff([]string{"shared", "reports"}, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}
