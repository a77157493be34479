// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// podDeadline is the activeDeadlineSeconds of each pod of a run; nil: none. It is the pod's and not the Job's:
// at a Job's deadline its pods are deleted, and with them what they have to say. Kubelet ends the pod even
// while the operator is away.
func podDeadline(spec *v1alpha1.SIFScanSpec) *int64 {
	if spec.Deadline == nil {
		return nil
	}
	seconds := (spec.Deadline.Duration + time.Second - 1) / time.Second
	return ptr.To(int64(max(seconds, 1)))
}

// deadlineOf is when a run must have ended; false: it has no deadline, or has not begun. It begins when the Job
// controller starts the Job, which Kueue and a suspension put off.
func deadlineOf(spec *v1alpha1.SIFScanSpec, job *batchv1.Job) (time.Time, bool) {
	if spec.Deadline == nil || job == nil || job.Status.StartTime == nil || isSuspended(job) {
		return time.Time{}, false
	}
	return job.Status.StartTime.Add(spec.Deadline.Duration), true
}

// overdue reports whether the run's deadline has passed.
func (p *pass) overdue() bool {
	until, limited := deadlineOf(&p.scan.Spec, p.current)
	return limited && !p.now.Before(until)
}

// giveUp ends a run whose deadline has passed. Its Job goes once this is written (see expire): the other way
// round, a status that is lost would begin the run anew.
func (p *pass) giveUp(t *tally) {
	stalled(v1alpha1.ReasonDeadlineExceeded, fmt.Sprintf(
		"the run took longer than spec.deadline of %s: ended, %s; raise spec.deadline, %s, or spec.parallelism, and %s, finished images are not read again",
		p.scan.Spec.Deadline.Duration, progressText(t), v1alpha1.TwiceAsLong(p.scan.Spec.Deadline.Duration), again)).apply(p.scan, p.now)
	p.scan.Status.CompletionTime = ptr.To(metav1.NewTime(p.now))
}
