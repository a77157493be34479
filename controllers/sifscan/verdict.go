// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Bounds of foreign text in a condition's message.
const (
	maxWord   = 64
	maxDetail = 512
)

// verdict is what the scanner says of a whole run, in its termination message.
type verdict cause

// runReasons are what a scanner may say of a run. It reads hostile images: anything else it
// might have been made to say is not repeated.
var runReasons = []string{
	v1alpha1.ReasonNoTargets, v1alpha1.ReasonPermissionDenied, v1alpha1.ReasonReportUnavailable,
	v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonIncomplete, v1alpha1.ReasonBackendUnreachable,
	v1alpha1.ReasonCredentialsMissing, v1alpha1.ReasonTmpTooSmall,
	v1alpha1.ReasonNoContainers, v1alpha1.ReasonNodePolicyDenies,
}

// verdictOf reads the scanner's termination message; empty when there is no usable one.
func verdictOf(pod *corev1.Pod) verdict {
	if pod == nil {
		return verdict{}
	}
	end := scannerEnd(pod)
	if end == nil {
		return verdict{}
	}
	var said struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}
	// Kubelet cuts the message at 4 KiB.
	if json.Unmarshal([]byte(end.Message), &said) != nil || !slices.Contains(runReasons, said.Reason) {
		return verdict{}
	}
	return verdict{said.Reason, printable(said.Message, maxDetail)}
}
