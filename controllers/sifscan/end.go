// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// deleteJob ends a Job; its pods get their grace period, in which the reporter stores what the
// scanner finished.
func (r *Reconciler) deleteJob(ctx context.Context, job *batchv1.Job) error {
	if !job.DeletionTimestamp.IsZero() {
		return nil
	}
	// The UID protects a Job of the same name that the cache does not show yet.
	err := r.Client.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground),
		client.Preconditions{UID: &job.UID})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete Job %s: %w", job.Name, conflict(err))
	}
	return nil
}

// endOtherRuns deletes the Jobs of other runs and waits until they are gone. Their finished
// reports stay.
func (r *Reconciler) endOtherRuns(ctx context.Context, p *pass) error {
	if len(p.others) == 0 {
		return nil
	}
	for _, job := range p.others {
		if err := r.deleteJob(ctx, job); err != nil {
			return err
		}
	}
	if p.finished() {
		return nil
	}
	return &hold{reason: v1alpha1.ReasonRunning, message: fmt.Sprintf(
		"ending Job %s of the previous run before the new one starts", p.others[0].Name)}
}

// suspend ends the run's Job and keeps what is finished. Resuming creates the Job again, and its
// pods take up from the inventories.
func (r *Reconciler) suspend(ctx context.Context, p *pass) (ctrl.Result, error) {
	if p.current != nil {
		if err := r.deleteJob(ctx, p.current); err != nil {
			return ctrl.Result{}, err
		}
	}
	look, err := r.takeDown(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	message := "suspended before it started; set spec.suspend to false to start it"
	if p.scan.Status.StartTime != nil {
		t, err := r.look(ctx, p)
		if err != nil {
			return ctrl.Result{}, err
		}
		p.record(t)
		message = fmt.Sprintf("suspended with %s; finished reports are kept; set spec.suspend to false to resume", progressText(t))
	}
	suspended(message).apply(p.scan, p.now)
	return ctrl.Result{RequeueAfter: look}, nil
}

// expire deletes the Job of a finished run, with its pods and their logs, when its time is over. One that is
// still at work belongs to a run that was given up at its deadline: it ends now.
func (r *Reconciler) expire(ctx context.Context, p *pass) (ctrl.Result, error) {
	if p.current == nil {
		return ctrl.Result{}, nil
	}
	if _, over := endOf(p.current); !over {
		return ctrl.Result{}, r.deleteJob(ctx, p.current)
	}
	if left := timeToLive(&p.scan.Spec, p.scan.Status.CompletionTime.Time, p.now); left > 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	return ctrl.Result{}, r.deleteJob(ctx, p.current)
}

// timeToLive is how long the Job of a run that completed is still kept.
func timeToLive(spec *v1alpha1.SIFScanSpec, completed, now time.Time) time.Duration {
	ttl := defaultTTL
	if spec.TTLAfterFinished != nil {
		ttl = spec.TTLAfterFinished.Duration
	}
	return completed.Add(ttl).Sub(now)
}
