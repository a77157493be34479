// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// holdup is what keeps a pod from working, since when.
type holdup struct {
	cause
	since time.Time
}

// Kubelet's words for a container that waits (kubernetes, pkg/kubelet/images/types.go and
// pkg/kubelet/kuberuntime/kuberuntime_container.go).
var (
	pullReasons = []string{
		"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
		"RegistryUnavailable", "SignatureValidationFailed",
	}
	startReasons = []string{"CreateContainerError", "RunContainerError", "StartError", "CrashLoopBackOff"}
)

const createConfigError = "CreateContainerConfigError"

// setUpPatience is how long a node may take to mount a pod's volumes, and to make its sandbox and network. A volume
// that an attacher has to bring takes tens of seconds.
const setUpPatience = time.Minute

// holdupOf says what keeps an unfinished pod from working; false when nothing is known to.
func holdupOf(pod *corev1.Pod, now time.Time) (holdup, bool) {
	if pod == nil || ended(pod) {
		return holdup{}, false
	}
	if c := podCondition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		return holdup{
			cause{v1alpha1.ReasonUnschedulable, "no node takes the scan pod: " + printable(c.Message, maxDetail)},
			c.LastTransitionTime.Time,
		}, true
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if s.State.Waiting == nil {
			continue
		}
		if c, ok := waitingCause(pod, &s); ok {
			return holdup{c, pod.CreationTimestamp.Time}, true
		}
	}
	if since, is := beingSetUp(pod); is && now.Sub(since) >= setUpPatience {
		return holdup{cause{v1alpha1.ReasonVolumeNotFound, notSetUp(pod)}, since}, true
	}
	return holdup{}, false
}

// beingSetUp returns since when a node has a pod of which no container may start yet. Kubelet tells no more than that in
// a pod's status: which volume does not mount stands in an Event.
func beingSetUp(pod *corev1.Pod) (since time.Time, is bool) {
	scheduled, ready := podCondition(pod, corev1.PodScheduled), podCondition(pod, corev1.PodReadyToStartContainers)
	if scheduled == nil || scheduled.Status != corev1.ConditionTrue || ready == nil || ready.Status == corev1.ConditionTrue {
		return time.Time{}, false
	}
	if pod.Status.Phase != corev1.PodPending || !pod.DeletionTimestamp.IsZero() {
		return time.Time{}, false // what has ended is taken down
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if s.State.Waiting == nil {
			return time.Time{}, false
		}
	}
	return scheduled.LastTransitionTime.Time, true
}

// notSetUp does without a guess: until Kubernetes 1.36 a pod whose image is being pulled looks the same.
func notSetUp(pod *corev1.Pod) string {
	return fmt.Sprintf("node %s has not made the scan pod ready to start: a volume, or a ConfigMap or Secret that is mounted as one, is not there "+
		"or does not mount, or the pod gets no network: see kubectl -n %s describe pod %s", pod.Spec.NodeName, pod.Namespace, pod.Name)
}

func waitingCause(pod *corev1.Pod, s *corev1.ContainerStatus) (cause, bool) {
	reason, detail := s.State.Waiting.Reason, printable(s.State.Waiting.Message, maxDetail)
	switch {
	case slices.Contains(pullReasons, reason):
		return cause{v1alpha1.ReasonImagePullFailed, fmt.Sprintf("node %s cannot get image %s (%s): %s",
			pod.Spec.NodeName, printable(s.Image, maxDetail), reason, detail)}, true
	case reason == createConfigError && strings.Contains(detail, "subPath"):
		// The mount is read-only, so kubelet cannot make the folder as it does elsewhere.
		return cause{v1alpha1.ReasonVolumeNotFound, "the subPath of spec.target is not a folder of the volume: " + detail}, true
	case reason == createConfigError:
		remedy := "create it, or correct its name in the spec: the scan goes on by itself"
		if pod.Namespace == NodeScansNamespace { // the operator's flags name it
			remedy = "ask the operator's administrator to create it in Namespace " + pod.Namespace
		}
		return cause{v1alpha1.ReasonCredentialsMissing, "the scan pod refers to something that is not there: " + detail + "; " + remedy}, true
	case s.Name == reporterContainer && reason == "CrashLoopBackOff":
		return cause{v1alpha1.ReasonReportUnavailable, "the reporter keeps ending" + lastWords(s) + "; see its log"}, true
	case slices.Contains(startReasons, reason):
		return cause{v1alpha1.ReasonEngineFailed, fmt.Sprintf("container %s does not start (%s): %s", s.Name, reason, detail)}, true
	}
	return cause{}, false
}

func lastWords(s *corev1.ContainerStatus) string {
	end := s.LastTerminationState.Terminated
	if end == nil {
		return ""
	}
	words := fmt.Sprintf(" with exit code %d", end.ExitCode)
	if end.Reason == reasonOOMKilled {
		words += ", for it ran out of memory"
	}
	if end.Message != "" {
		words += ": " + printable(end.Message, maxDetail)
	}
	return words
}
