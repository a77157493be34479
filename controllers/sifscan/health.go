// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// health is all that the conditions of a SIFScan say. Every write of a status sets all of them,
// so that none is left over from an earlier state.
type health struct {
	// cause is the reason and message of Ready, and of those of Reconciling, Stalled and
	// Complete that are there.
	cause
	ready       bool
	reconciling bool
	stalled     bool
	complete    bool
	// degraded and partial are messages of notes on a finished run; empty: no note.
	degraded, partial string
	// policy is PolicyPassed; nil where there is no policy or no outcome.
	policy *metav1.Condition
}

func waiting(reason, message string) health {
	return health{cause: cause{reason, message}, reconciling: true}
}

func stalled(reason, message string) health {
	return health{cause: cause{reason, message}, stalled: true}
}

// suspended is neither progress nor failure: kstatus shows it as in progress, which it is again
// once somebody resumes it.
func suspended(message string) health {
	return health{cause: cause{v1alpha1.ReasonSuspended, message}}
}

func finished(reason, message string) health {
	return health{cause: cause{reason, message}, ready: true, complete: true}
}

// apply sets the conditions. Ready and Complete are always there, PolicyPassed with a policy; the
// others only while true.
func (h health) apply(scan *v1alpha1.SIFScan, now time.Time) {
	if h.policy == nil {
		meta.RemoveStatusCondition(&scan.Status.Conditions, v1alpha1.ConditionPolicyPassed)
	} else {
		c := *h.policy
		c.ObservedGeneration, c.LastTransitionTime = scan.Generation, metav1.NewTime(now)
		meta.SetStatusCondition(&scan.Status.Conditions, c)
	}
	for _, c := range []struct {
		kind            string
		on, always      bool
		reason, message string
	}{
		{v1alpha1.ConditionReady, h.ready, true, h.reason, h.message},
		{v1alpha1.ConditionReconciling, h.reconciling, false, h.reason, h.message},
		{v1alpha1.ConditionStalled, h.stalled, false, h.reason, h.message},
		{v1alpha1.ConditionComplete, h.complete, true, h.reason, h.message},
		{v1alpha1.ConditionDegraded, h.degraded != "", false, v1alpha1.ReasonDegraded, h.degraded},
		{v1alpha1.ConditionPartial, h.partial != "", false, v1alpha1.ReasonPartial, h.partial},
	} {
		if !c.on && !c.always {
			meta.RemoveStatusCondition(&scan.Status.Conditions, c.kind)
			continue
		}
		status := metav1.ConditionFalse
		if c.on {
			status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&scan.Status.Conditions, metav1.Condition{
			Type: c.kind, Status: status, Reason: c.reason, Message: c.message,
			ObservedGeneration: scan.Generation, LastTransitionTime: metav1.NewTime(now),
		})
	}
}

// observeGeneration makes a status that stays as it is speak of the current generation: the
// outcome of a run is that of every spec that asks for the same run.
func observeGeneration(scan *v1alpha1.SIFScan) {
	scan.Status.ObservedGeneration = scan.Generation
	for i := range scan.Status.Conditions {
		scan.Status.Conditions[i].ObservedGeneration = scan.Generation
	}
}

// reasonOf returns the reason of Ready, which is what kubectl get prints.
func reasonOf(status *v1alpha1.SIFScanStatus) string {
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Reason
	}
	return ""
}
