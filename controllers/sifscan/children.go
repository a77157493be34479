// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// children are the Jobs and pods of a SIFScan, sorted once.
type children struct {
	// current is the Job of the run; nil when there is none.
	current *batchv1.Job
	// others are Jobs of earlier runs.
	others []*batchv1.Job
	// pods of the current Job.
	pods []*corev1.Pod
	// strays are pods that still run for a Job that is not the current one, or is gone.
	strays []*corev1.Pod
}

// children reads what the caches hold of a SIFScan's Jobs and pods.
func (r *Reconciler) children(ctx context.Context, scan *v1alpha1.SIFScan, run string) (children, error) {
	ours := ofScan(scan.Namespace, scan.UID)
	jobs := &batchv1.JobList{}
	if err := r.Client.List(ctx, jobs, ours...); err != nil {
		return children{}, fmt.Errorf("list Jobs: %w", err)
	}
	pods := &corev1.PodList{}
	if err := r.Client.List(ctx, pods, ours...); err != nil {
		return children{}, fmt.Errorf("list pods: %w", err)
	}
	return classify(scan, run, jobs.Items, pods.Items), nil
}

// classify sorts Jobs and pods that carry the SIFScan's UID. Labels are anybody's to write: only
// what the SIFScan controls counts as its Job, only what that Job controls as its pod. A pod
// that still runs under our label may be writing to our inventories whoever made it.
func classify(scan *v1alpha1.SIFScan, run string, jobs []batchv1.Job, pods []corev1.Pod) children {
	var c children
	for i := range jobs {
		job := &jobs[i]
		switch {
		case !metav1.IsControlledBy(job, scan):
		case isJobOf(job, scan, run):
			c.current = job
		default:
			c.others = append(c.others, job)
		}
	}
	for i := range pods {
		pod := &pods[i]
		switch {
		case c.current != nil && metav1.IsControlledBy(pod, c.current):
			c.pods = append(c.pods, pod)
		case !ended(pod):
			c.strays = append(c.strays, pod)
		}
	}
	return c
}

func isJobOf(job *batchv1.Job, scan *v1alpha1.SIFScan, run string) bool {
	return metav1.IsControlledBy(job, scan) && job.Name == JobName(scan.Name, run) && job.Labels[v1alpha1.LabelRun] == run
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// latest returns the pod that was created last; nil when there is none.
func latest(pods []*corev1.Pod) *corev1.Pod {
	var last *corev1.Pod
	for _, pod := range pods {
		if last == nil || last.CreationTimestamp.Before(&pod.CreationTimestamp) {
			last = pod
		}
	}
	return last
}

// dead returns the pods that failed.
func dead(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool {
		return pod.Status.Phase != corev1.PodFailed
	})
}

// jobEnd is how a Job ended. The Job controller sets these conditions once all pods are gone;
// FailureTarget and SuccessCriteriaMet, which come earlier, say nothing of the pods' last words.
type jobEnd struct {
	failed bool
	// reason and message of the Job controller, of a failed Job.
	reason, message string
	at              metav1.Time
}

// endOf reports how a Job ended, and false while it has not.
func endOf(job *batchv1.Job) (jobEnd, bool) {
	if job == nil {
		return jobEnd{}, false
	}
	for _, c := range job.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			return jobEnd{at: c.LastTransitionTime}, true
		case batchv1.JobFailed:
			return jobEnd{failed: true, reason: c.Reason, message: c.Message, at: c.LastTransitionTime}, true
		}
	}
	return jobEnd{}, false
}
