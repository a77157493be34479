// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"cmp"
	"fmt"
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
	reportsVolume  = "reports"
	tokenVolume    = "token"
)

// Where they are mounted.
const (
	targetDir   = "/target"
	databaseDir = "/database"
	resultsDir  = "/results"
	stateDir    = "/state"
	reportsDir  = "/reports"
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
	parts := join(in.engine(), in.tmp(), in.target(), in.pace())
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
			PriorityClassName:             cmp.Or(spec.Scheduling.PriorityClassName, in.Config.PriorityClass),
			SchedulerName:                 spec.Scheduling.SchedulerName,
			ActiveDeadlineSeconds:         podDeadline(&spec),
			Volumes:                       append(parts.volumes, in.reporterVolumes()...),
			InitContainers:                append(parts.before, in.reporter()),
			Containers:                    []corev1.Container{in.scanner(parts)},
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

// scanner is the container that reads images. Every setting is on its command line, defaults
// too: operator and agent then need not agree on them.
func (in JobInputs) scanner(parts part) corev1.Container {
	resources := withDisk(scannerResources(in.Scan.Spec.Resources), &in.Scan.Spec)
	args := append([]string{"scan"}, parts.args...)
	args = append(args, fmt.Sprintf("--workers=%d", in.Workers), "--results-dir="+resultsDir, "--results-limit="+resultsLimit.String(), "--state-dir="+stateDir, "--") // a path may begin with a dash
	return corev1.Container{
		Name:            scannerContainer,
		Image:           in.Config.AgentImage,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Args:            append(args, parts.operands...),
		Env:             append(goEnv(resources.Limits), parts.env...),
		Resources:       resources,
		SecurityContext: containerSecurity(),
		VolumeMounts: append(parts.mounts,
			corev1.VolumeMount{Name: resultsVolume, MountPath: resultsDir},
			corev1.VolumeMount{Name: stateVolume, MountPath: stateDir, ReadOnly: true}),
	}
}
