// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestWhatSomebodyShouldLookAtIsAWarning(t *testing.T) {
	for reason, want := range map[string]string{
		v1alpha1.ReasonInvalidSpec: corev1.EventTypeWarning, v1alpha1.ReasonVolumeNotFound: corev1.EventTypeWarning,
		v1alpha1.ReasonOOMKilled: corev1.EventTypeWarning, v1alpha1.ReasonNotAllowed: corev1.EventTypeWarning,
		v1alpha1.ReasonQueued: corev1.EventTypeNormal, v1alpha1.ReasonSuspended: corev1.EventTypeNormal,
		v1alpha1.ReasonRunning: corev1.EventTypeNormal, v1alpha1.ReasonSucceeded: corev1.EventTypeNormal,
	} {
		status := &v1alpha1.SIFScanStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason}}}
		if got := severityOf(status); got != want {
			t.Errorf("%s is of type %s, want %s", reason, got, want)
		}
	}
}
