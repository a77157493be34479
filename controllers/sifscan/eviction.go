// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// What kubelet says when it evicts (kubernetes, pkg/kubelet/eviction/helpers.go). Nothing promises these words: an
// eviction that says anything else keeps its own.
var (
	overVolume  = regexp.MustCompile(`^Usage of EmptyDir volume "([^"]+)" exceeds the limit "([^"]+)"`)
	overDisk    = regexp.MustCompile(`^(?:Container scanner exceeded its local ephemeral storage limit "([^"]+)"|Pod ephemeral local storage usage exceeds the total limit of containers ([^ ]+)\. )`)
	lowResource = regexp.MustCompile(`^The node was low on resource: ([a-z-]+)`)
)

// evictionCause says why kubelet evicted a pod, and which limit to raise to what.
func evictionCause(pod *corev1.Pod, detail string) cause {
	message := pod.Status.Message + " "
	if m := overVolume.FindStringSubmatch(message); m != nil && m[1] == tmpVolume {
		return cause{v1alpha1.ReasonTmpExhausted, fmt.Sprintf(
			"the scan wrote more to its tmp than the limit of %s: %s%s", printable(m[2], maxWord), raised(pod, "spec.tmp.sizeLimit", nodeTmpFlag), twice(m[2]))}
	}
	if m := overDisk.FindStringSubmatch(message); m != nil {
		limit := m[1] + m[2]
		advice := raised(pod, "spec.tmp.sizeLimit", nodeTmpFlag)
		if !ofNode(pod) {
			advice += fmt.Sprintf(", and spec.resources.limits.ephemeral-storage%s where it is set", twice(limit))
		}
		return cause{v1alpha1.ReasonTmpExhausted, fmt.Sprintf(
			"the scan pod kept more on its node's disk than the limit of %s: %s", printable(limit, maxWord), advice)}
	}
	advice := ""
	if m := lowResource.FindStringSubmatch(message); m != nil && (m[1] == "memory" || m[1] == "ephemeral-storage") {
		advice = fmt.Sprintf("; pods that use more than they ask for go first: raise spec.resources.requests.%s, or use other nodes", m[1])
		if ofNode(pod) {
			advice = "; scans of running containers reserve nothing, so that they go first"
		}
	}
	return cause{v1alpha1.ReasonEvicted, fmt.Sprintf("kubelet evicted the scan pod from node %s: %s%s", pod.Spec.NodeName, detail, advice)}
}

// twice is the next value to try; empty where the limit cannot be read.
func twice(limit string) string {
	q, err := resource.ParseQuantity(limit)
	if err != nil || q.Sign() <= 0 {
		return ""
	}
	q.Add(q)
	return ", for instance to " + q.String()
}
