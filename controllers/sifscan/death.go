// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// cause is why something is not as it should be: a reason of the API, and words that say what to change.
type cause struct{ reason, message string }

// reasonOOMKilled is the runtime's word, in a container's status.
const reasonOOMKilled = "OOMKilled"

// Words of kubelet in a pod's status.reason.
const (
	podEvicted          = "Evicted"
	podDeadlineExceeded = "DeadlineExceeded"
	podNodeLost         = "NodeLost"
	podNodeShutdown     = "NodeShutdown"
	podTerminated       = "Terminated" // by a node that shuts down
)

// podCollected is the reason with which Kubernetes ends the pods of a Node that was deleted
// (kubernetes, pkg/controller/podgc).
const podCollected = "DeletionByPodGC"

// deathOf says why a failed pod failed; false when it has not failed.
func deathOf(pod *corev1.Pod) (cause, bool) {
	if pod == nil || pod.Status.Phase != corev1.PodFailed {
		return cause{}, false
	}
	detail := printable(pod.Status.Message, maxDetail)
	switch pod.Status.Reason {
	case podEvicted:
		return evictionCause(pod, detail), true
	case podDeadlineExceeded:
		return cause{v1alpha1.ReasonDeadlineExceeded, "the scan pod ran longer than spec.deadline: " + detail}, true
	case podNodeLost:
		return cause{v1alpha1.ReasonNodeGone, fmt.Sprintf("node %s went away under the scan pod: %s", pod.Spec.NodeName, detail)}, true
	case podNodeShutdown, podTerminated:
		return cause{v1alpha1.ReasonEvicted, fmt.Sprintf("node %s went away under the scan pod: %s", pod.Spec.NodeName, detail)}, true
	}
	if c := podCondition(pod, corev1.DisruptionTarget); c != nil && c.Status == corev1.ConditionTrue {
		if c.Reason == v1alpha1.ReasonNodeGone || c.Reason == podCollected {
			return cause{v1alpha1.ReasonNodeGone, printable(c.Message, maxDetail)}, true
		}
		return cause{v1alpha1.ReasonEvicted, fmt.Sprintf("the scan pod was taken from node %s (%s): %s",
			pod.Spec.NodeName, printable(c.Reason, maxWord), printable(c.Message, maxDetail))}, true
	}
	if end := scannerEnd(pod); end != nil {
		return containerDeath(pod, end), true
	}
	if c, ok := initDeath(pod); ok {
		return c, true
	}
	// Kubelet refused the pod after it was bound: OutOfcpu, NodeAffinity, UnexpectedAdmissionError.
	return cause{v1alpha1.ReasonUnschedulable, fmt.Sprintf("node %s refused the scan pod (%s): %s",
		pod.Spec.NodeName, printable(pod.Status.Reason, maxWord), detail)}, true
}

// initDeath says why a container failed that prepares the pod, before reporter and scanner start.
func initDeath(pod *corev1.Pod) (cause, bool) {
	for i := range pod.Status.InitContainerStatuses {
		s := &pod.Status.InitContainerStatuses[i]
		if end := s.State.Terminated; end != nil && end.ExitCode != 0 && s.Name != reporterContainer {
			return cause{v1alpha1.ReasonEngineFailed, fmt.Sprintf("container %s, which prepares the scan, ended with exit code %d (%s): %s",
				s.Name, end.ExitCode, printable(end.Reason, maxWord), printable(end.Message, maxDetail))}, true
		}
	}
	return cause{}, false
}

// containerDeath says why the scanner ended. Exit codes are those of node-agent scan.
func containerDeath(pod *corev1.Pod, end *corev1.ContainerStateTerminated) cause {
	const (
		exitUnavailable = 1
		signalled       = 128
		exitKilled      = signalled + 9
	)
	switch {
	// The runtime says so, too, of a container that lost a child only and ended as it chose to, later.
	case end.Reason == reasonOOMKilled && (end.ExitCode == exitKilled || verdictOf(pod).reason == ""):
		return cause{v1alpha1.ReasonOOMKilled, outOfMemory(pod)}
	case end.ExitCode == exitUsage && crashed(pod):
		return cause{v1alpha1.ReasonEngineFailed, fmt.Sprintf("the scanner crashed, which is a defect of it: kubectl -n %s logs %s -c %s says where",
			pod.Namespace, pod.Name, scannerContainer)}
	case end.ExitCode == exitUsage && verdictOf(pod).reason != "":
		return cause(verdictOf(pod))
	case end.ExitCode == exitUsage:
		return cause{v1alpha1.ReasonEngineFailed,
			"the agent does not understand the operator's command line (exit code 2): use operator and agent images of the same version"}
	case end.ExitCode == exitUnavailable:
		v := verdictOf(pod)
		if v.reason != "" && v.reason != v1alpha1.ReasonReportUnavailable {
			return cause(v)
		}
		message := "the results could not be stored in the API"
		if v.message != "" {
			message += ": " + v.message
		}
		return cause{v1alpha1.ReasonReportUnavailable, message}
	case end.ExitCode == 0:
		return cause{v1alpha1.ReasonReportUnavailable, "the scanner ended well and the pod did not: the reporter failed; see its log"}
	case end.ExitCode > signalled:
		return cause{v1alpha1.ReasonEngineFailed, fmt.Sprintf("the scanner was ended by signal %d", end.ExitCode-signalled)}
	}
	return cause{v1alpha1.ReasonEngineFailed, fmt.Sprintf("the scanner ended with exit code %d (%s): %s",
		end.ExitCode, printable(end.Reason, maxWord), printable(end.Message, maxDetail))}
}

// crashed reports whether the reporter says of its pod that the scanner crashed.
func crashed(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.InitContainerStatuses, func(s corev1.ContainerStatus) bool {
		return s.Name == reporterContainer && s.State.Terminated != nil && s.State.Terminated.ExitCode == exitCrash
	})
}

// outOfMemory names the limit that was too low, and the next value to try.
func outOfMemory(pod *corev1.Pod) string {
	limit, ok := memoryLimit(pod)
	if !ok {
		return "the node ran out of memory under the scanner: set spec.resources.requests.memory"
	}
	next := resource.NewQuantity(2*limit.Value(), resource.BinarySI)
	return fmt.Sprintf("%s: %s, for instance to %s", neededMore(limit), raised(pod, "spec.resources.limits.memory", nodeMemoryFlag), next)
}

// listOutOfMemory is that of a pod that lists a node's containers. Nothing raises its limit.
func listOutOfMemory(pod *corev1.Pod) string {
	limit, _ := memoryLimit(pod)
	return neededMore(limit) + ", which every list of a node's containers has: let spec.target.running select fewer of them, for instance by a podSelector"
}

func neededMore(limit resource.Quantity) string {
	return "the scanner needed more memory than its limit of " + limit.String()
}

// memoryLimit of the scanner; false: it has none.
func memoryLimit(pod *corev1.Pod) (limit resource.Quantity, is bool) {
	for i := range pod.Spec.Containers {
		if c := &pod.Spec.Containers[i]; c.Name == scannerContainer {
			limit, is = c.Resources.Limits[corev1.ResourceMemory]
		}
	}
	return limit, is
}

// Flags of the operator that limit scans of running containers.
const (
	nodeMemoryFlag = "--node-scans-memory-limit"
	nodeTmpFlag    = "--node-scans-tmp-limit"
)

// ofNode reports whether a pod is of a scan of running containers.
func ofNode(pod *corev1.Pod) bool { return pod.Labels[v1alpha1.LabelScanNamespace] != "" }

// raised says what raises a limit of a pod: of scans of running containers no field of a SIFScan does.
func raised(pod *corev1.Pod, field, flag string) string {
	if ofNode(pod) {
		return "ask the operator's administrator to raise " + flag
	}
	return "raise " + field
}

// scannerEnd is how the scanner container ended; nil when it never ran.
func scannerEnd(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	for i := range pod.Status.ContainerStatuses {
		if s := &pod.Status.ContainerStatuses[i]; s.Name == scannerContainer {
			return s.State.Terminated
		}
	}
	return nil
}

func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == kind {
			return c
		}
	}
	return nil
}
