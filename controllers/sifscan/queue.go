// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// labelQueue is where Kueue looks for the queue of a Job (sigs.k8s.io/kueue, pkg/controller/constants).
const labelQueue = "kueue.x-k8s.io/queue-name"

// enqueue hands a Job to Kueue. From here on Kueue alone says when it is suspended, and what it adds to the
// pods' node selector and tolerations is its own: the live Job's spec is never compared with another.
func enqueue(job *batchv1.Job, scheduling *v1alpha1.Scheduling) {
	if scheduling.QueueName == "" {
		return
	}
	job.Labels[labelQueue] = scheduling.QueueName
	job.Spec.Suspend = ptr.To(true)
}

// isSuspended reports whether a queue keeps a Job from starting. Kueue may be set up to do so with Jobs that
// name no queue, too.
func isSuspended(job *batchv1.Job) bool { return ptr.Deref(job.Spec.Suspend, false) }

// inQueue says what a suspended Job waits for.
func inQueue(job *batchv1.Job) string {
	if queue := job.Labels[labelQueue]; queue != "" {
		return fmt.Sprintf("Job %s waits in Kueue's queue %s: see kubectl describe workload", job.Name, queue)
	}
	return fmt.Sprintf("Job %s was suspended, as Kueue does with Jobs that name no queue: set spec.scheduling.queueName, or resume it", job.Name)
}
