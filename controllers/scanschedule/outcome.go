// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// conditionRunNow tells which value of the annotation sifscan.io/run-now was taken up last: its
// message is the value.
const conditionRunNow = "RunNow"

// Reasons of Ready and of Events.
const (
	reasonScheduled = "Scheduled"
	reasonWaiting   = "Waiting"
	reasonMissed    = "Missed"
	reasonCreated   = "Created"
	reasonTooMany   = "TooManyMissed"
)

// tale is an Event that waits until the status it belongs to is written.
type tale struct {
	warning      bool
	reason, note string
}

func (p *pass) tell(warning bool, reason, format string, args ...any) {
	p.tales = append(p.tales, tale{warning, reason, fmt.Sprintf(format, args...)})
}

// refusal is an error that explains itself to the user.
type refusal struct {
	reason, message string
	// stalled: only a change helps.
	stalled bool
}

func (r *refusal) Error() string { return r.reason + ": " + r.message }

// maxDetail of an API server's answer in a condition, in bytes.
const maxDetail = 512

// explain sorts what went wrong into what the user can change, and what is tried again.
func explain(err error) (*refusal, error) {
	var r *refusal
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &r):
		return r, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return &refusal{reason: v1alpha1.ReasonNotAllowed, message: "the Namespace is being deleted"}, nil
	case apierrors.IsInvalid(err):
		return &refusal{reason: v1alpha1.ReasonInvalidSpec, message: "correct spec.template: " + cut(err.Error()), stalled: true}, nil
	case apierrors.IsForbidden(err):
		return &refusal{reason: v1alpha1.ReasonNotAllowed, message: cut(err.Error())}, nil
	}
	return nil, err
}

func cut(text string) string { return text[:min(len(text), maxDetail)] }

// asked returns the value of the annotation sifscan.io/run-now, if it was not taken up yet.
func (p *pass) asked() string {
	value := p.schedule.Annotations[v1alpha1.AnnotationRunNow]
	if c := meta.FindStatusCondition(p.schedule.Status.Conditions, conditionRunNow); c != nil && c.Message == remembered(value) {
		return ""
	}
	return value
}

// remembered is a value of the annotation as the condition holds it.
func remembered(value string) string {
	if len(value) <= maxDetail {
		return value
	}
	return cut(value) + askedName("", value)
}

// created tells that there is a new run.
func (p *pass) created(d decision, name string) {
	runs.Inc()
	switch {
	case d.asked:
		p.tell(false, reasonCreated, "Created SIFScan %s, which annotation %s asked for", name, v1alpha1.AnnotationRunNow)
		return
	case d.missed >= manyMissed:
		p.tell(true, reasonTooMany, "At least %d runs were missed; only the latest starts. Is the operator down for long, or its clock wrong?", manyMissed)
	case d.missed > 0:
		p.tell(true, reasonMissed, "Missed %d runs; only the latest starts", d.missed)
	}
	missed.Add(float64(d.missed))
	lateness.Observe(p.now.Sub(d.due).Seconds())
	p.tell(false, reasonCreated, "Created SIFScan %s, due %s", name, d.due.Format(time.RFC3339))
}

// began records that a run has its SIFScan.
func (p *pass) began(d decision, name string) {
	status := &p.schedule.Status
	if !d.asked {
		at := metav1.NewTime(d.nominal)
		status.LastScheduleTime = &at
	} else {
		p.set(conditionRunNow, metav1.ConditionTrue, reasonCreated, remembered(p.asked()))
	}
	for _, scan := range p.active {
		if scan.Name == name {
			return // an earlier look made it
		}
	}
	if len(status.Active) < maxActive {
		status.Active = append(status.Active, name)
	}
}

// invalid makes a schedule stall that cannot be understood. Only a change of the spec helps.
func (p *pass) invalid(err error) {
	p.schedule.Status.NextScheduleTime = nil
	p.health(metav1.ConditionFalse, true, v1alpha1.ReasonInvalidSchedule, err.Error())
}

// conclude writes what was decided into the status.
func (p *pass) conclude(d decision, refused *refusal) {
	p.schedule.Status.NextScheduleTime = nil
	promise, started := d.nextDue, d.step == start && refused == nil
	if !d.nominal.IsZero() && d.step != miss && (d.asked || !started) {
		promise = d.owedSince // overdue, and still owed
	}
	if !promise.IsZero() {
		at := metav1.NewTime(promise.Truncate(time.Second))
		p.schedule.Status.NextScheduleTime = &at
	}
	prefix := rhythm(&p.schedule.Spec)
	switch {
	case p.schedule.Spec.Suspend:
		p.health(metav1.ConditionTrue, false, v1alpha1.ReasonSuspended, prefix+"set spec.suspend to false to start runs again")
	case refused != nil:
		p.health(metav1.ConditionFalse, refused.stalled, refused.reason, prefix+refused.message)
	case d.step == hold:
		p.health(metav1.ConditionTrue, false, reasonWaiting, prefix+fmt.Sprintf(
			"a run is due and waits for SIFScan %s to finish, as concurrencyPolicy Forbid asks", p.active[0].Name))
	case d.step == replace:
		p.health(metav1.ConditionTrue, false, reasonWaiting, prefix+fmt.Sprintf(
			"a run is due and waits until SIFScan %s is gone, as concurrencyPolicy Replace asks", p.active[0].Name))
	case d.step == miss:
		p.health(metav1.ConditionTrue, false, reasonMissed, prefix+fmt.Sprintf(
			"the run due %s did not start within startingDeadlineSeconds and is left out", d.due.Format(time.RFC3339)))
	case d.nextDue.IsZero():
		p.health(metav1.ConditionTrue, false, reasonScheduled, prefix+"no further run within 40 years")
	default:
		p.health(metav1.ConditionTrue, false, reasonScheduled, prefix+"runs start when they are due")
	}
}

// health sets Ready and Stalled, and tells what is new about them.
func (p *pass) health(ready metav1.ConditionStatus, stalled bool, reason, message string) {
	before := meta.FindStatusCondition(p.before.Conditions, v1alpha1.ConditionReady)
	p.set(v1alpha1.ConditionReady, ready, reason, message)
	if stalled {
		p.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, reason, message)
	} else {
		meta.RemoveStatusCondition(&p.schedule.Status.Conditions, v1alpha1.ConditionStalled)
	}
	if before != nil && before.Reason == reason && before.Message == message {
		return
	}
	switch {
	case reason == reasonMissed:
		missed.Inc()
		p.tell(true, reason, "%s", message)
	case ready == metav1.ConditionFalse:
		p.tell(true, reason, "%s", message)
	case reason == reasonWaiting:
		p.tell(false, reason, "%s", message)
	}
}

func (p *pass) set(kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&p.schedule.Status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message,
		ObservedGeneration: p.schedule.Generation, LastTransitionTime: metav1.NewTime(p.now),
	})
}
