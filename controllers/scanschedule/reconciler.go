// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scanschedule reconciles ScanSchedules: it makes a SIFScan whenever one is due, exactly once.
//
// When something is due is a pure function of (spec, status, now), in calendar.go, owed.go and
// decide.go; this file only wires them. It behaves like batch/v1 CronJob, whose steps it follows
// (kubernetes, pkg/controller/cronjob/cronjob_controllerv2.go), except where docs/scanschedule.md
// says so.
package scanschedule

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// +kubebuilder:rbac:groups=sifscan.io,resources=scanschedules,verbs=get;list;watch
// +kubebuilder:rbac:groups=sifscan.io,resources=scanschedules/status,verbs=update
// +kubebuilder:rbac:groups=sifscan.io,resources=sifscans,verbs=get;list;watch;create;delete

// Reconciler reconciles ScanSchedules.
type Reconciler struct {
	// Client writes, and reads from the cache.
	Client client.Client
	// Live reads from the API server, where a stale cache must not decide.
	Live   client.Reader
	Events events.EventRecorder
	Clock  clock.PassiveClock
	// NodeScans tells that the operator scans running containers. Where it does not, such SIFScans are refused.
	NodeScans bool
}

const (
	// skew is added to the wait for a run: a clock that is a little slow must not wake before it.
	skew = 100 * time.Millisecond
	// staleRetry is how soon a ScanSchedule is looked at again that the cache shows as it was.
	staleRetry = time.Second
	// refusedRetry is how soon is tried again what quota, admission or RBAC refused.
	refusedRetry = time.Minute
	// maxActive names in the status.
	maxActive = 20
)

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	changed := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ScanSchedule{}, builder.WithPredicates(changed)).
		Owns(&v1alpha1.SIFScan{}).
		Complete(r)
}

// pass is one look at one ScanSchedule.
type pass struct {
	schedule *v1alpha1.ScanSchedule
	children
	now time.Time
	// before is the status as it was found.
	before v1alpha1.ScanScheduleStatus
	tales  []tale
}

// Reconcile brings one ScanSchedule up to date. The status is written at most once, at the end,
// and Events follow it.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	s := &v1alpha1.ScanSchedule{}
	if err := r.Client.Get(ctx, req.NamespacedName, s); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	p := &pass{schedule: s, now: r.Clock.Now(), before: *s.Status.DeepCopy()}
	var err error
	if p.children, err = r.children(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	result, err := r.reconcile(ctx, p)
	// Also what is known while something is tried again: it may fail for long.
	if failed := r.writeStatus(ctx, p); err == nil {
		err = failed
	}
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: staleRetry}, nil
	}
	return result, err
}

// reconcile is the table of contents.
func (r *Reconciler) reconcile(ctx context.Context, p *pass) (ctrl.Result, error) {
	p.observe()
	if !p.schedule.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	kept := r.removeOutdated(ctx, p)
	calendar, err := newCalendar(p.schedule)
	if err != nil {
		p.invalid(err)
		return ctrl.Result{}, nil // until the spec changes
	}
	d := decide(p.situation(calendar))
	err = r.checkAsked(ctx, p, d)
	if err == nil {
		switch d.step {
		case start:
			err = r.start(ctx, p, d)
		case replace:
			err = r.replace(ctx, p)
		}
	}
	refused, err := explain(err)
	if err != nil && d.step != replace {
		return ctrl.Result{}, err
	}
	p.conclude(d, refused)
	return ctrl.Result{RequeueAfter: p.wake(d, refused != nil || kept)}, err
}

// situation gathers what the decision depends on.
func (p *pass) situation(c *calendar) situation {
	spec := &p.schedule.Spec
	return situation{
		calendar: c,
		settled:  settled(p.schedule, c, p.now),
		now:      p.now,
		deadline: time.Duration(ptr.Deref(spec.StartingDeadlineSeconds, 0)) * time.Second,
		suspend:  spec.Suspend,
		policy:   spec.ConcurrencyPolicy,
		active:   len(p.active),
		asked:    p.asked() != "",
	}
}

// observe takes over what the children tell.
func (p *pass) observe() {
	status := &p.schedule.Status
	status.ObservedGeneration = p.schedule.Generation
	status.Active = nil
	for _, scan := range p.active[:min(len(p.active), maxActive)] {
		status.Active = append(status.Active, scan.Name)
	}
	if at := p.lastSuccess(); status.LastSuccessfulTime == nil && !at.IsZero() || status.LastSuccessfulTime != nil && at.After(status.LastSuccessfulTime.Time) {
		status.LastSuccessfulTime = ptr.To(metav1.NewTime(at))
	}
	p.cover()
	p.recall()
}

// removeOutdated deletes finished SIFScans beyond the limits, and tells whether one could not be
// deleted: no run waits for that. Their reports belong to the images' claims, and stay.
func (r *Reconciler) removeOutdated(ctx context.Context, p *pass) (kept bool) {
	spec := &p.schedule.Spec
	for _, scan := range p.outdated(ptr.Deref(spec.SuccessfulHistoryLimit, 3), ptr.Deref(spec.FailedHistoryLimit, 3)) {
		if err := r.remove(ctx, scan); err != nil {
			log.FromContext(ctx).Error(err, "A finished SIFScan beyond the history limits stays")
			kept = true
		}
	}
	return kept
}

func (r *Reconciler) remove(ctx context.Context, scan *v1alpha1.SIFScan) error {
	if !scan.DeletionTimestamp.IsZero() {
		return nil
	}
	// The UID protects one of the same name that the cache does not show yet.
	err := r.Client.Delete(ctx, scan, client.PropagationPolicy(metav1.DeletePropagationBackground), client.Preconditions{UID: &scan.UID})
	if err := client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("delete SIFScan %s: %w", scan.Name, err)
	}
	return nil
}

// replace ends the active SIFScans. The run starts when they are gone: their Jobs go first.
func (r *Reconciler) replace(ctx context.Context, p *pass) error {
	for _, scan := range p.active {
		if err := r.remove(ctx, scan); err != nil {
			return err
		}
	}
	return nil
}

// start makes the SIFScan of a run. One of its name that is ours was made by an earlier look
// whose status was lost.
func (r *Reconciler) start(ctx context.Context, p *pass, d decision) error {
	name, value := childName(p.schedule.Name, d.nominal), p.asked()
	nominal := d.nominal
	if d.asked {
		name, nominal = askedName(p.schedule.Name, value), time.Time{}
	}
	err := r.Client.Create(ctx, newChild(p.schedule, name, nominal))
	switch {
	case err == nil:
		p.created(d, name)
		r.announce(p) // the SIFScan is there, whatever becomes of the status
	case apierrors.IsAlreadyExists(err):
		if err := r.adopt(ctx, p, name); err != nil {
			return err
		}
	default:
		return fmt.Errorf("create SIFScan %s: %w", name, err)
	}
	p.began(d, name)
	return nil
}

// adopt accepts a SIFScan that is there already, if this schedule made it.
func (r *Reconciler) adopt(ctx context.Context, p *pass, name string) error {
	there := &v1alpha1.SIFScan{}
	if err := r.Live.Get(ctx, client.ObjectKey{Namespace: p.schedule.Namespace, Name: name}, there); err != nil {
		return fmt.Errorf("read SIFScan %s: %w", name, err)
	}
	if metav1.IsControlledBy(there, p.schedule) {
		return nil
	}
	return &refusal{reason: v1alpha1.ReasonNotAllowed, message: fmt.Sprintf(
		"SIFScan %s has the name that this run needs and does not belong to this ScanSchedule: delete it, or rename the ScanSchedule", name)}
}

// wake is how long until something is due, or worth another try.
func (p *pass) wake(d decision, again bool) time.Duration {
	var wait time.Duration
	if !d.nextDue.IsZero() {
		wait = max(d.nextDue.Sub(p.now), 0) + skew
	}
	if again && (wait == 0 || wait > refusedRetry) {
		wait = refusedRetry
	}
	return wait
}

// writeStatus writes the status if it changed, and then tells what happened.
func (r *Reconciler) writeStatus(ctx context.Context, p *pass) error {
	if !equality.Semantic.DeepEqual(p.before, p.schedule.Status) {
		err := r.Client.Status().Update(ctx, p.schedule)
		if apierrors.IsNotFound(err) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return fmt.Errorf("write the status: %w", err)
		}
	}
	r.announce(p)
	return nil
}

// announce tells what happened.
func (r *Reconciler) announce(p *pass) {
	for _, t := range p.tales {
		kind := corev1.EventTypeNormal
		if t.warning {
			kind = corev1.EventTypeWarning
		}
		r.Events.Eventf(p.schedule, nil, kind, t.reason, "Schedule", "%s", t.note)
	}
	p.tales = nil
}
