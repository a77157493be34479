// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Containers of the scan pod.
const (
	scannerContainer  = "scanner"
	reporterContainer = "reporter"
)

// Volumes of the scan pod.
const (
	targetVolume   = "target"
	databaseVolume = "database"
	resultsVolume  = "results"
	stateVolume    = "state"
	tokenVolume    = "token"
)

// Where they are mounted.
const (
	targetDir   = "/target"
	databaseDir = "/database"
	resultsDir  = "/results"
	stateDir    = "/state"
	tokenDir    = "/var/run/secrets/kubernetes.io/serviceaccount" // where client-go looks
)

// The limits of what scanner and reporter hand to each other. Results leave as soon as they are
// stored in the API, so they need room for a few images, not for all.
var (
	resultsLimit = resource.MustParse("512Mi")
	stateLimit   = resource.MustParse("128Mi")
)

// gracePeriod is how long a pod that is ended may take, in seconds: the reporter stores what
// the scanner left behind, over an API server that may be restarting.
const gracePeriod = 120

// tokenLifetime of the reporter, in seconds; kubelet renews it.
const tokenLifetime = 3600

// podTemplate splits the pod by privilege: the scanner reads hostile images and holds no
// token, the reporter holds the token and mounts no image.
func (in JobInputs) podTemplate() corev1.PodTemplateSpec {
	spec := in.Scan.Spec
	labels := maps.Clone(spec.Scheduling.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, in.labels())
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      labels,
			Annotations: maps.Clone(spec.Scheduling.Annotations),
		},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			ServiceAccountName:            v1alpha1.ReporterServiceAccount,
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			TerminationGracePeriodSeconds: ptr.To[int64](gracePeriod),
			SecurityContext:               in.podSecurity(),
			NodeSelector:                  maps.Clone(spec.Scheduling.NodeSelector),
			Tolerations:                   spec.Scheduling.DeepCopy().Tolerations,
			Affinity:                      spec.Scheduling.Affinity.DeepCopy(),
			PriorityClassName:             spec.Scheduling.PriorityClassName,
			Volumes:                       in.volumes(),
			InitContainers:                []corev1.Container{in.reporter()},
			Containers:                    []corev1.Container{in.scanner()},
		},
	}
}

// podSecurity has no fsGroup, ever: kubelet would change the owner of every file on the volume.
func (in JobInputs) podSecurity() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot:       ptr.To(true),
		RunAsUser:          ptr.To(in.Identity.User),
		RunAsGroup:         ptr.To(in.Identity.Group),
		SupplementalGroups: in.Identity.SupplementalGroups,
		SeccompProfile:     &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func containerSecurity() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false),
		ReadOnlyRootFilesystem:   ptr.To(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func (in JobInputs) volumes() []corev1.Volume {
	limited := func(limit resource.Quantity) corev1.VolumeSource {
		return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit}}
	}
	claim := func(name string) corev1.VolumeSource {
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name, ReadOnly: true}}
	}
	volumes := []corev1.Volume{
		{Name: targetVolume, VolumeSource: claim(in.Scan.Spec.Target.Volume.ClaimName)},
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
	if in.Database != nil {
		volumes = append(volumes, corev1.Volume{Name: databaseVolume, VolumeSource: claim(in.Database.ClaimName)})
	}
	return volumes
}

// scanner is the container that reads images.
func (in JobInputs) scanner() corev1.Container {
	resources := scannerResources(in.Scan.Spec.Resources)
	container := corev1.Container{
		Name:            scannerContainer,
		Image:           in.Config.AgentImage,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Args:            in.scannerArgs(),
		Env:             goEnv(resources.Limits),
		Resources:       resources,
		SecurityContext: containerSecurity(),
		VolumeMounts: []corev1.VolumeMount{
			{Name: targetVolume, MountPath: targetDir, SubPath: resolve(&in.Scan.Spec).SubPath, ReadOnly: true},
			{Name: resultsVolume, MountPath: resultsDir},
			{Name: stateVolume, MountPath: stateDir, ReadOnly: true},
		},
	}
	if in.Database != nil {
		container.VolumeMounts = append(container.VolumeMounts,
			corev1.VolumeMount{Name: databaseVolume, MountPath: databaseDir, ReadOnly: true})
	}
	return container
}

// reporter is a native sidecar: kubelet starts it before the scanner, and ends it after.
func (in JobInputs) reporter() corev1.Container {
	fromField := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	return corev1.Container{
		Name:            reporterContainer,
		Image:           in.Config.AgentImage,
		ImagePullPolicy: corev1.PullIfNotPresent,
		RestartPolicy:   ptr.To(corev1.ContainerRestartPolicyAlways),
		Args:            in.reporterArgs(),
		Env: append([]corev1.EnvVar{
			fromField("POD_NAMESPACE", "metadata.namespace"),
			fromField("NODE_NAME", "spec.nodeName"),
		}, goEnv(reporterResources.Limits)...),
		Resources:       *reporterResources.DeepCopy(),
		SecurityContext: containerSecurity(),
		VolumeMounts: []corev1.VolumeMount{
			{Name: resultsVolume, MountPath: resultsDir, ReadOnly: true},
			{Name: stateVolume, MountPath: stateDir},
			{Name: tokenVolume, MountPath: tokenDir, ReadOnly: true},
		},
	}
}
