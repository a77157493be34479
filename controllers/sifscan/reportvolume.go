// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// reportVolume is the claim that the reporter, and no other container, keeps documents on. Its
// root is mounted and not its subPath: kubelet would make a subPath that is not there as root's, and
// the scan's user could not write to it.
func (in JobInputs) reportVolume() part {
	v := resolve(&in.Scan.Spec).ReportVolume
	if v == nil {
		return part{}
	}
	return part{
		volumes: []corev1.Volume{{Name: reportsVolume, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.ClaimName},
		}}},
		mounts: []corev1.VolumeMount{{Name: reportsVolume, MountPath: reportsDir}},
		args: []string{
			"--reports-dir=" + reportsDir,
			"--reports-claim-uid=" + string(in.ReportsUID),
			"--reports-sub-path=" + literal(v.SubPath),
		},
	}
}

// reportClaim waits for that claim and returns its UID; empty where there is none to wait for.
func (r *Reconciler) reportClaim(ctx context.Context, scan *v1alpha1.SIFScan) (types.UID, error) {
	v := resolve(&scan.Spec).ReportVolume
	if v == nil {
		return "", nil
	}
	return r.claim(ctx, scan.Namespace, v.ClaimName, "spec.reports.volume.claimName")
}
