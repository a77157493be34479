// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// reporter is a native sidecar: kubelet starts it before the scanner, and ends it after.
func (in JobInputs) reporter() corev1.Container {
	fromField := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	kept := in.reportVolume()
	return corev1.Container{
		Name:            reporterContainer,
		Image:           in.Config.AgentImage,
		ImagePullPolicy: corev1.PullIfNotPresent,
		RestartPolicy:   ptr.To(corev1.ContainerRestartPolicyAlways),
		Args:            append(in.reporterArgs(), kept.args...),
		Env: append([]corev1.EnvVar{
			fromField("POD_NAMESPACE", "metadata.namespace"),
			fromField("NODE_NAME", "spec.nodeName"),
			fromField("POD_UID", "metadata.uid"),
		}, goEnv(reporterResources.Limits)...),
		Resources:       *reporterResources.DeepCopy(),
		SecurityContext: containerSecurity(),
		VolumeMounts: append([]corev1.VolumeMount{
			{Name: resultsVolume, MountPath: resultsDir, ReadOnly: true},
			{Name: stateVolume, MountPath: stateDir},
			{Name: tokenVolume, MountPath: tokenDir, ReadOnly: true},
		}, kept.mounts...),
	}
}

// reporterArgs is the reporter's command line.
func (in JobInputs) reporterArgs() []string {
	s := resolve(&in.Scan.Spec)
	args := []string{
		"reporter",
		"--results-dir=" + resultsDir,
		"--state-dir=" + stateDir,
		"--scan-name=" + in.Scan.Name,
		"--scan-uid=" + string(in.Scan.UID),
		"--run=" + in.Run,
		"--job-name=" + JobName(in.Scan.Name, in.Run),
		fmt.Sprintf("--workers=%d", in.Workers),
		"--engine=" + string(s.Engine),
		"--scan-types=" + strings.Join(s.ScanTypes, ","),
		"--artifacts=" + string(s.Artifacts),
		"--rescan=" + string(s.Rescan),
		fmt.Sprintf("--max-findings=%d", *s.MaxFindings),
	}
	if scope := s.scope(); scope != "" {
		args = append(args, "--scope="+scope)
	}
	for i, c := range s.claims() {
		args = append(args, claimArg(c.name, in.ClaimUIDs[i])+literal(c.subPath))
	}
	return args
}

// claimArg names a claim that is scanned, up to the folder of it.
func claimArg(name string, uid types.UID) string { return "--claim=" + name + "=" + string(uid) + "=" }

// reporterVolumes are the volumes that the reporter needs, its own and those it shares with the scanner.
func (in JobInputs) reporterVolumes() []corev1.Volume {
	return append(handover(), in.reportVolume().volumes...)
}

// handover is what scanner and reporter share, and the reporter's token.
func handover() []corev1.Volume {
	limited := func(limit resource.Quantity) corev1.VolumeSource {
		return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit}}
	}
	return []corev1.Volume{
		{Name: resultsVolume, VolumeSource: limited(resultsLimit)},
		{Name: stateVolume, VolumeSource: limited(stateLimit)},
		// What kubelet projects by default, for one container only.
		{Name: tokenVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
					Path: corev1.ServiceAccountTokenKey, ExpirationSeconds: ptr.To[int64](tokenLifetime),
				}},
				{ConfigMap: &corev1.ConfigMapProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
					Items:                []corev1.KeyToPath{{Key: corev1.ServiceAccountRootCAKey, Path: corev1.ServiceAccountRootCAKey}},
				}},
				{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
					Path: corev1.ServiceAccountNamespaceKey, FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"},
				}}}},
			},
		}}},
	}
}
