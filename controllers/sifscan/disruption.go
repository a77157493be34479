// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	corev1 "k8s.io/api/core/v1"
)

// Words of a container runtime, and of kubelet, on containers that they lost sight of: their node was started anew.
const (
	containerUnknown       = "Unknown"
	containerStatusUnknown = "ContainerStatusUnknown"
)

// disrupted reports whether a failed pod was ended from outside, whatever image it had in hand: no image is given up for
// that, however often it happens to one that takes long. What kubelet evicts counts: it took more than it may, or than its
// node has, and would do so for ever.
func disrupted(pod *corev1.Pod) bool {
	const terminated = 128 + 15
	end := scannerEnd(pod)
	switch pod.Status.Reason {
	case podEvicted:
		return false
	case podDeadlineExceeded, podNodeLost, podNodeShutdown, podTerminated:
		return true
	}
	if c := podCondition(pod, corev1.DisruptionTarget); c != nil && c.Status == corev1.ConditionTrue {
		return true
	}
	switch {
	case end == nil, end.ExitCode == terminated, end.Reason == containerUnknown, end.Reason == containerStatusUnknown:
		return true
	case end.Reason == reasonOOMKilled:
		return false
	}
	return pod.DeletionTimestamp != nil // killed at the end of its grace period
}
