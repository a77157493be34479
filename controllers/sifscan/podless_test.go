// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// startedJob is a Job that the Job controller has taken up and that has no pod.
func startedJob(changes ...func(*batchv1.Job)) *batchv1.Job {
	job := makeScan().job()
	job.Status.StartTime = ptr.To(metav1.NewTime(epoch))
	for _, change := range changes {
		change(job)
	}
	return job
}

func TestARunHasNoPodOnlyWhereTheJobControllerWantedOne(t *testing.T) {
	condition := func(kind batchv1.JobConditionType) func(*batchv1.Job) {
		return func(job *batchv1.Job) {
			job.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: "True"}}
		}
	}
	for _, tc := range []struct {
		name string
		job  *batchv1.Job
		pods []string
		want time.Duration // 0: it has one, or needs none
	}{
		{"none came", startedJob(), nil, podDue},
		{"not taken up yet", makeScan().job(), nil, 0},
		{"suspended", startedJob(func(job *batchv1.Job) { job.Spec.Suspend = ptr.To(true) }), nil, 0},
		{"being deleted", startedJob(func(job *batchv1.Job) { job.DeletionTimestamp = ptr.To(metav1.NewTime(epoch)) }), nil, 0},
		{"the cache of pods is behind", startedJob(func(job *batchv1.Job) { job.Status.Active = 1 }), nil, 0},
		{"the cache of Jobs is behind", startedJob(), []string{"w"}, 0},
		{"one waits for a node", startedJob(), []string{"h"}, 0},
		{"one of several works", startedJob(), []string{"s", "d", "w"}, 0},
		{"all ended well", startedJob(condition(batchv1.JobSuccessCriteriaMet)), []string{"s"}, 0},
		{"it is about to fail", startedJob(condition(batchv1.JobFailureTarget)), []string{"d"}, 0},
		{"it was resumed", startedJob(condition(batchv1.JobSuspended)), nil, podDue},
		{"some ended well, and of one no pod came", startedJob(), []string{"s", "s"}, podDue},
		{"one died: the next may be put off", startedJob(), []string{"d"}, podDueAgain},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, is := podless(cached(tc.job), podsLike(tc.job, tc.pods...)); got != tc.want || is != (tc.want > 0) {
				t.Errorf("%v, %v; want %v", got, is, tc.want)
			}
		})
	}
}

func TestARunWithoutAPodWaitsIsStalledAndGoesOn(t *testing.T) {
	scan := makeScan().obj()
	p := &pass{scan: scan, run: RunID(scan), now: epoch, pendingDeadline: time.Minute}
	r := &Reconciler{}
	look := func(at time.Duration, job *batchv1.Job, pods ...string) (left time.Duration) {
		t.Helper()
		p.now, p.current, p.pods = epoch.Add(at), cached(job), podsLike(job, pods...)
		waiting(v1alpha1.ReasonRunning, "").apply(scan, p.now)
		h, left, out := r.keptOut(p)
		if out {
			left = p.wait(h.cause, h.since)
		}
		return left
	}
	is := func(reason string, stalled bool) {
		t.Helper()
		if reasonOf(&scan.Status) != reason || meta.IsStatusConditionTrue(scan.Status.Conditions, v1alpha1.ConditionStalled) != stalled {
			t.Fatalf("%+v", scan.Status.Conditions)
		}
	}
	job := startedJob()
	if left := look(time.Hour, job); left != podDue {
		t.Errorf("however long ago the Job started, a pod that was just lost is waited for: %v", left)
	}
	is(v1alpha1.ReasonRunning, false)
	if left := look(time.Hour+podDue, job); left != time.Minute-podDue {
		t.Errorf("until it stalls: %v", left)
	}
	is(v1alpha1.ReasonUnschedulable, false)
	for _, part := range []string{"let into Namespace hpc", "ResourceQuota", "kubectl -n hpc describe job " + job.Name} {
		if message := scan.Status.Conditions[0].Message; !strings.Contains(message, part) {
			t.Errorf("%q does not say %q", message, part)
		}
	}
	look(time.Hour+time.Minute, job)
	is(v1alpha1.ReasonUnschedulable, true)
	look(2*time.Hour, job, "w")
	is(v1alpha1.ReasonRunning, false)
	if left := look(3*time.Hour, job); left != podDue {
		t.Errorf("it begins anew: %v", left)
	}
	other := startedJob(func(job *batchv1.Job) { job.UID = "another" })
	if left := look(4*time.Hour, other); left != podDue {
		t.Errorf("and for another Job: %v", left)
	}
}
