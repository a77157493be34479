// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// pendingDeadline is how long a run may wait for what GitOps, an administrator or an autoscaler
// brings before it is called stalled. It goes on waiting: what comes later is still used.
const pendingDeadline = 15 * time.Minute

// bounded are the reasons to wait that become Stalled. The others end by themselves.
var bounded = []string{
	v1alpha1.ReasonVolumeNotFound, v1alpha1.ReasonCredentialsMissing,
	v1alpha1.ReasonUnschedulable, v1alpha1.ReasonImagePullFailed,
}

// wait sets the conditions of a run that is held up since a time. It returns how long until
// they change by time alone; 0: never.
func (p *pass) wait(why cause, since time.Time) time.Duration {
	if !slices.Contains(bounded, why.reason) {
		waiting(why.reason, why.message).apply(p.scan, p.now)
		return 0
	}
	left := since.Add(p.pendingDeadline).Sub(p.now)
	if left <= 0 {
		stalled(why.reason, why.message).apply(p.scan, p.now)
		return 0
	}
	waiting(why.reason, why.message).apply(p.scan, p.now)
	return left
}

// waitingSince is when the run began to be held up: long ago if that made it stall already.
func (p *pass) waitingSince() time.Time {
	if meta.IsStatusConditionTrue(p.scan.Status.Conditions, v1alpha1.ConditionStalled) {
		return time.Time{}
	}
	if c := meta.FindStatusCondition(p.scan.Status.Conditions, v1alpha1.ConditionReconciling); c != nil {
		return c.LastTransitionTime.Time
	}
	return p.now
}
