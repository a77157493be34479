// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Actions of Events: what the operator did, or was about to do.
const (
	actionScan   = "Scan"
	actionResume = "Resume"
)

// Reasons of Events that are not reasons of conditions.
const (
	eventJobCreated   = "JobCreated"
	eventJobRecreated = "JobRecreated"
)

// maxNote is the longest note of an Event (kubernetes, pkg/apis/core/validation/events.go).
const maxNote = 1024

// announcement is an Event that waits until the status it belongs to is written.
type announcement struct{ kind, reason, action, note string }

func (p *pass) tell(a announcement) { p.announcements = append(p.announcements, a) }

// tellJobCreated says that there is a new Job, and whether it begins the run or takes it up again.
func (p *pass) tellJobCreated() {
	name := JobName(p.scan.Name, p.run)
	switch {
	case p.hadQueued():
	case p.scan.Status.StartTime == nil:
		p.tell(announcement{corev1.EventTypeNormal, eventJobCreated, actionScan, "Created Job " + name})
	default:
		p.tell(announcement{corev1.EventTypeNormal, eventJobRecreated, actionResume,
			"Created Job " + name + " again, which was suspended or deleted before it had finished: the run takes up where it was"})
	}
}

// hadQueued reports whether the scan waited its turn until now. Thousands may in a night, and an Event of its Job would be the
// sixth write for each, after three of its status, the Job and the Event of its end: that its turn came, and with which
// Job, is told by the same conditions that told of the wait.
func (p *pass) hadQueued() bool { return reasonOf(&p.before) == v1alpha1.ReasonQueued }

// emit tells what was done, and what the status that is now stored has new.
func (r *Reconciler) emit(p *pass) {
	for _, a := range p.announcements {
		r.Events.Eventf(p.scan, nil, a.kind, a.reason, a.action, "%s", printable(a.note, maxNote))
	}
	ready := meta.FindStatusCondition(p.scan.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Reason == reasonOf(&p.before) && p.before.RunID == p.run {
		return
	}
	// That a scan waits its turn stands in its conditions, and that it runs was just said of its Job.
	if ready.Reason == v1alpha1.ReasonQueued || ready.Reason == v1alpha1.ReasonRunning && (len(p.announcements) > 0 || p.hadQueued()) {
		return
	}
	r.Events.Eventf(p.scan, nil, severityOf(&p.scan.Status), ready.Reason, actionScan, "%s", printable(ready.Message, maxNote))
}

// severityOf is Warning for what somebody should look at.
func severityOf(status *v1alpha1.SIFScanStatus) string {
	for _, kind := range []string{v1alpha1.ConditionStalled, v1alpha1.ConditionDegraded, v1alpha1.ConditionPartial} {
		if meta.IsStatusConditionTrue(status.Conditions, kind) {
			return corev1.EventTypeWarning
		}
	}
	switch reasonOf(status) {
	case v1alpha1.ReasonOOMKilled, v1alpha1.ReasonEvicted, v1alpha1.ReasonNodeGone, v1alpha1.ReasonTmpExhausted, v1alpha1.ReasonEngineFailed, v1alpha1.ReasonReportUnavailable,
		v1alpha1.ReasonImagePullFailed, v1alpha1.ReasonUnschedulable, v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonVolumeNotFound, v1alpha1.ReasonCredentialsMissing, v1alpha1.ReasonNotAllowed:
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}
