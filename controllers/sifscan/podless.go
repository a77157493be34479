// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// A Job whose pods the API server refuses (quota, LimitRange, Pod Security, a PriorityClass that is not there) says so in an
// Event and nowhere else: its status shows that it started and has no pod.
const (
	// podDue is how long after that a pod may be missing. The Job controller makes them in the step in which it starts the Job.
	podDue = 10 * time.Second
	// podDueAgain is the same after a pod failed: so long at most the Job controller puts the next one off
	// (kubernetes, pkg/controller/job/job_controller.go, MaxJobPodFailureBackOff).
	podDueAgain = 10*time.Minute + podDue
)

// podless reports whether a run that is to be at work has no pod that is or may come to be, and how long that may be so.
func podless(job *batchv1.Job, pods []*corev1.Pod) (patience time.Duration, is bool) {
	ends := func(c batchv1.JobCondition) bool {
		return c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobSuccessCriteriaMet || c.Type == batchv1.JobFailureTarget)
	}
	unfinished := func(pod *corev1.Pod) bool { return !ended(pod) }
	switch s := &job.Status; {
	case s.StartTime == nil, isSuspended(job), !job.DeletionTimestamp.IsZero(), slices.ContainsFunc(s.Conditions, ends):
		return 0, false
	case s.Active > 0, slices.ContainsFunc(pods, unfinished): // either cache may be behind
		return 0, false
	case len(dead(pods)) > 0:
		return podDueAgain, true
	}
	return podDue, true
}

// vigils remember since when runs have no pod: nothing in the cluster does. The next operator counts anew.
type vigils struct {
	mu    sync.Mutex
	since map[types.NamespacedName]vigil
}

type vigil struct {
	job  types.UID
	seen time.Time
}

// begin returns since when a scan's Job has no pod.
func (v *vigils) begin(scan types.NamespacedName, job types.UID, now time.Time) time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	if known, ok := v.since[scan]; ok && known.job == job {
		return known.seen
	}
	if v.since == nil {
		v.since = map[types.NamespacedName]vigil{}
	}
	v.since[scan] = vigil{job, now}
	return now
}

func (v *vigils) end(scan types.NamespacedName) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.since, scan)
}

// keptOut says that no pod of a run is let into its namespace; false with the time until that is so, 0: it will not be.
func (r *Reconciler) keptOut(p *pass) (h holdup, left time.Duration, is bool) {
	scan := client.ObjectKeyFromObject(p.scan)
	patience, without := podless(p.current, p.pods)
	if !without {
		r.vigils.end(scan)
		return holdup{}, 0, false
	}
	since := r.vigils.begin(scan, p.current.UID, p.now)
	if left := since.Add(patience).Sub(p.now); left > 0 {
		return holdup{}, left, false
	}
	return holdup{cause{v1alpha1.ReasonUnschedulable, fmt.Sprintf("no pod of the scan is let into Namespace %s; a ResourceQuota, a LimitRange, "+
		"Pod Security, a missing PriorityClass or a webhook refuses it: see kubectl -n %[1]s describe job %s", p.scan.Namespace, p.current.Name)}, since}, 0, true
}
