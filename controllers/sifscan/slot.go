// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// jobPage is how many Jobs are read at once, of some 10 KiB each.
const jobPage = 100

// takeSlot waits until the scan may be at work. One that Kueue queues is Kueue's to count.
func (r *Reconciler) takeSlot(ctx context.Context, p *pass) error {
	if p.scan.Spec.Scheduling.QueueName != "" {
		return nil
	}
	if err := r.countLive(ctx); err != nil {
		return err
	}
	waits, ok := r.slots.take(loadOf(p.scan), p.queuedSince())
	if ok {
		return nil
	}
	return &hold{reason: v1alpha1.ReasonQueued, message: "waiting for a slot: " + waits}
}

// queuedSince is when the scan began to wait in line. The condition remembers it over a restart.
func (p *pass) queuedSince() time.Time {
	if reasonOf(&p.scan.Status) == v1alpha1.ReasonQueued {
		if c := meta.FindStatusCondition(p.scan.Status.Conditions, v1alpha1.ConditionReconciling); c != nil {
			return c.LastTransitionTime.Time
		}
	}
	return p.now
}

// loadOf is what a scan takes slots of.
func loadOf(scan *v1alpha1.SIFScan) load {
	l := load{scan: client.ObjectKeyFromObject(scan), uid: scan.UID}
	s := resolve(&scan.Spec)
	for _, c := range s.claims() {
		l.volumes = append(l.volumes, c.name)
	}
	slices.Sort(l.volumes)
	l.volumes = slices.Compact(l.volumes)
	return l
}

// countLive counts, once in the life of the process, what earlier operators left at work. It asks the API
// server: the first content of a cache may be older than the last Job that another operator created.
func (r *Reconciler) countLive(ctx context.Context) error {
	r.counting.Lock()
	defer r.counting.Unlock()
	if r.slots.counted {
		return nil
	}
	err := eachPage(ctx, r.Live, "the Jobs at work", jobPage, func() *batchv1.JobList { return &batchv1.JobList{} }, func(page *batchv1.JobList) error {
		for i := range page.Items {
			if err := r.countJob(ctx, &page.Items[i]); err != nil {
				return err
			}
		}
		return nil
	}, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})
	r.slots.counted = err == nil
	return err
}

// countJob counts the scan of a Job that is at work.
func (r *Reconciler) countJob(ctx context.Context, job *batchv1.Job) error {
	key := controllerOf(job)
	if key.Name == "" || !atWork(job) {
		return nil
	}
	scan := &v1alpha1.SIFScan{}
	err := r.Live.Get(ctx, key, scan)
	switch {
	case apierrors.IsNotFound(err):
		return nil // the garbage collector ends its Job
	case err != nil:
		return fmt.Errorf("read the SIFScan of Job %s: %w", job.Name, err)
	case scan.Spec.Scheduling.QueueName == "":
		r.slots.hold(loadOf(scan))
	}
	return nil
}

// atWork reports whether a Job takes a slot: it is not finished, and nobody keeps it suspended.
func atWork(job *batchv1.Job) bool {
	_, over := endOf(job)
	return !over && !isSuspended(job)
}

// settleSlot makes the slots agree with what a pass came to.
func (r *Reconciler) settleSlot(p *pass, queued bool) {
	scan := client.ObjectKeyFromObject(p.scan)
	if p.scan.Spec.Scheduling.QueueName != "" {
		r.slots.release(scan)
		return
	}
	if queued {
		return
	}
	for _, job := range append([]*batchv1.Job{p.current}, p.others...) {
		if job != nil && atWork(job) && !r.slots.gaveUp(scan, job.UID) {
			r.slots.hold(loadOf(p.scan))
			return
		}
	}
	r.slots.release(scan)
}

// releaseDeleted gives the slot of a SIFScan back that is deleted, once its Jobs are: their deletion is what
// brings it here again.
func (r *Reconciler) releaseDeleted(ctx context.Context, scan types.NamespacedName) error {
	r.slots.gone(scan)
	r.vigils.end(scan)
	r.readings.drop(scan)
	r.ledger.drop(scan)
	uid, has := r.slots.of(scan)
	if !has {
		return nil
	}
	jobs := &batchv1.JobList{}
	err := r.Client.List(ctx, jobs, ofScan(scan.Namespace, uid)...)
	if err != nil {
		return fmt.Errorf("list Jobs: %w", err)
	}
	for i := range jobs.Items {
		if atWork(&jobs.Items[i]) {
			return nil
		}
	}
	r.slots.release(scan)
	return nil
}

// makeRoom ends the Job of a scan that is stalled, where other scans wait for its slot: a missing Secret, a full
// cluster, or pods that die one as the other, ten minutes apart, must not stop everybody. The scan queues again.
func (r *Reconciler) makeRoom(ctx context.Context, p *pass) error {
	if !meta.IsStatusConditionTrue(p.scan.Status.Conditions, v1alpha1.ConditionStalled) ||
		!r.slots.yield(client.ObjectKeyFromObject(p.scan), p.current.UID) {
		return nil
	}
	return r.deleteJob(ctx, p.current)
}
