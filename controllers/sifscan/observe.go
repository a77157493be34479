// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// observe tells how far the run's Job is, or what it came to.
func (r *Reconciler) observe(ctx context.Context, p *pass) (ctrl.Result, error) {
	if p.scan.Status.StartTime == nil { // the operator ended between the Job and the status
		p.scan.Status.StartTime = p.current.CreationTimestamp.DeepCopy()
	}
	t, err := r.look(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	p.record(t)
	end, over := endOf(p.current)
	switch {
	case !over:
		if p.overdue() {
			cover(p.scan, t, p.now)
			_, err := r.sumUp(ctx, p, t)
			p.giveUp(t)
			return ctrl.Result{}, err
		}
		result, err := r.follow(ctx, p, t)
		if until, limited := deadlineOf(&p.scan.Spec, p.current); limited {
			result.RequeueAfter = sooner(result.RequeueAfter, until.Sub(p.now))
		}
		return result, err
	case end.failed:
		if _, err := r.sumUp(ctx, p, t); err != nil {
			return ctrl.Result{}, err
		}
		p.fail(t, end)
	default:
		if err := r.complete(ctx, p, t); err != nil {
			return ctrl.Result{}, err
		}
	}
	p.scan.Status.CompletionTime = &end.at
	return ctrl.Result{}, nil // the write of this status brings the SIFScan back, for what comes afterwards
}

// record puts the counts into the status once there are any.
func (p *pass) record(t *tally) {
	p.scan.Status.Inventories = t.chunks
	if t.chunks > 0 {
		p.scan.Status.Targets = t.targets.DeepCopy()
	}
}

// follow tells what a run that is under way does or waits for.
func (r *Reconciler) follow(ctx context.Context, p *pass, t *tally) (ctrl.Result, error) {
	if isSuspended(p.current) {
		waiting(v1alpha1.ReasonSuspended, inQueue(p.current)).apply(p.scan, p.now)
		return ctrl.Result{}, r.claimLost(ctx, p)
	}
	look, err := r.releaseLost(ctx, p.pods, p.now)
	if err != nil {
		return ctrl.Result{}, err
	}
	crew := crewOf(p.pods, p.now)
	for _, d := range crew.deaths {
		if err := r.recordDeath(ctx, p, d.pod, d.cause); err != nil {
			return ctrl.Result{}, err
		}
	}
	kept, due, out := r.keptOut(p)
	look = sooner(sooner(look, due), crew.look)
	switch {
	case listLost(p.current, t):
		p.abandon(t)
		return ctrl.Result{}, nil
	case out:
		return r.holdUp(ctx, p, kept, look)
	case crew.working == 0 && len(crew.died) > 0:
		// Which deaths images are blamed for stands beside the entries.
		if t, err = r.tally(ctx, p); err != nil {
			return ctrl.Result{}, err
		}
		p.record(t)
		p.tellDeath(t, crew.died[0])
		return ctrl.Result{RequeueAfter: look}, r.makeRoom(ctx, p)
	case crew.working == 0 && len(crew.held) > 0:
		held := crew.held[0].holdup
		if held.reason == v1alpha1.ReasonUnschedulable {
			if err := r.claimLost(ctx, p); err != nil {
				return ctrl.Result{}, err
			}
		}
		return r.holdUp(ctx, p, held, look)
	}
	message := "waiting for the pod of Job " + p.current.Name
	if len(p.pods) > 0 {
		message = progressText(t) + crew.notes()
	}
	waiting(v1alpha1.ReasonRunning, message).apply(p.scan, p.now)
	return ctrl.Result{RequeueAfter: look}, nil
}

// holdUp tells what keeps a run from working. For too long, it makes room for others.
func (r *Reconciler) holdUp(ctx context.Context, p *pass, by holdup, look time.Duration) (ctrl.Result, error) {
	look = sooner(look, p.wait(by.cause, by.since))
	return ctrl.Result{RequeueAfter: look}, r.makeRoom(ctx, p)
}

// complete judges a run whose Job completed. Leftovers of earlier scans go first: should the
// operator end before the status is written, this is done again.
func (r *Reconciler) complete(ctx context.Context, p *pass, t *tally) error {
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithValues("run", p.run))
	var sweep sweep
	missing := newMissing(resolve(&p.scan.Spec), t)
	sum, err := r.sumUp(ctx, p, t, sweep.add, missing.add)
	if err != nil {
		return err
	}
	r.deleteSuperseded(ctx, sweep)
	err = sum.judged.locate(func(report string) (string, error) { return r.targetOf(ctx, p.scan.Namespace, report) })
	if err != nil {
		return err
	}
	cover(p.scan, t, p.now)
	h := judge(evidence{
		settings: resolve(&p.scan.Spec), tally: t, sum: sum, verdict: verdictOf(latest(well(p.pods))), now: p.now,
	})
	if h.complete {
		r.clearVanished(ctx, p, missing)
	}
	h.apply(p.scan, p.now)
	return nil
}

// sumUp puts what the reports of the run come to into the status, also of a run that came to no good end: what it found is
// there. It shows each report of the targets to others, too.
func (r *Reconciler) sumUp(ctx context.Context, p *pass, t *tally, others ...func(*metav1.PartialObjectMetadata)) (*summing, error) {
	sum := newSumming(t.reports, judgedBy(&p.scan.Spec))
	err := r.eachReport(ctx, p.scan, func(report *metav1.PartialObjectMetadata) {
		sum.add(report)
		for _, other := range others {
			other(report)
		}
	})
	if err != nil {
		return nil, err
	}
	if len(t.reports) > 0 {
		p.scan.Status.Summary = sum.summary.DeepCopy()
	}
	p.scan.Status.Worst, err = r.withTargets(ctx, p.scan.Namespace, sum.worst)
	return sum, err
}

// fail tells why the Job gave up. Reports that were finished stay.
func (p *pass) fail(t *tally, end jobEnd) {
	failed := failedWorkers(p.current)
	why, known := deathOf(latest(dead(podsOf(p.pods, failed))))
	if known && t.workers > 1 && len(failed) > 0 {
		why.message = fmt.Sprintf("%s of %d gave up, the others have finished: %s", counted(len(failed), "worker", "workers"), t.workers, why.message)
	}
	if !known {
		why = cause{v1alpha1.ReasonReportUnavailable, fmt.Sprintf("the scan's Job failed (%s: %s) and no pod is left to say why",
			printable(end.reason, maxWord), printable(end.message, maxDetail))}
	}
	cover(p.scan, t, p.now)
	stalled(why.reason, fmt.Sprintf("%s; given up, %s; %s, finished images are not read again",
		why.message, progressText(t), again)).apply(p.scan, p.now)
}

// progressText says how far a run is.
func progressText(t *tally) string {
	if !t.listed() {
		return "the images are not all listed yet"
	}
	return fmt.Sprintf("%d of %s done", t.done(), counted(t.targets.Discovered, "image", "images"))
}
