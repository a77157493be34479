// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func names[T metav1.Object](objects []T) []string {
	var list []string
	for _, o := range objects {
		list = append(list, o.GetName())
	}
	return list
}

func TestClassify(t *testing.T) {
	scan := makeScan()
	current := scan.job()
	earlier := makeScan().annotation("sifscan.io/rescan-at", "before").job()
	earlier.UID = "earlier"
	foreign := current.DeepCopy()
	foreign.Name, foreign.UID = "foreign", "foreign"
	foreign.OwnerReferences[0].UID = "somebody-else"
	orphan := current.DeepCopy()
	orphan.Name, orphan.UID, orphan.OwnerReferences = "orphan", "orphan", nil

	got := classify(scan.obj(), scan.run(), []batchv1.Job{*cached(foreign), *cached(earlier), *cached(current), *cached(orphan)}, []corev1.Pod{
		*makePod(current).named("working").phase(corev1.PodRunning).obj(),
		*makePod(current).named("done").phase(corev1.PodFailed).obj(),
		*makePod(earlier).named("old-running").phase(corev1.PodRunning).obj(),
		*makePod(earlier).named("old-done").phase(corev1.PodSucceeded).obj(),
		*makePod(foreign).named("foreign-pending").obj(),
	})
	if got.current == nil || got.current.UID != current.UID {
		t.Errorf("current Job is %v", got.current)
	}
	for name, pair := range map[string][2][]string{
		"others": {{earlier.Name}, names(got.others)},
		"pods":   {{"working", "done"}, names(got.pods)},
		"strays": {{"old-running", "foreign-pending"}, names(got.strays)},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAJobUnderTheRightNameIsNotEnough(t *testing.T) {
	scan := makeScan()
	for name, change := range map[string]func(*batchv1.Job){
		"another controller": func(j *batchv1.Job) { j.OwnerReferences[0].UID = "other" },
		"no controller":      func(j *batchv1.Job) { j.OwnerReferences[0].Controller = nil },
		"another run":        func(j *batchv1.Job) { j.Labels["sifscan.io/run"] = "v1-other" },
		"another name":       func(j *batchv1.Job) { j.Name += "x" },
	} {
		job := scan.job()
		change(job)
		if isJobOf(cached(job), scan.obj(), scan.run()) {
			t.Errorf("a Job with %s passes as the run's", name)
		}
	}
	if !isJobOf(cached(scan.job()), scan.obj(), scan.run()) {
		t.Error("the run's own Job does not pass")
	}
}

func TestLatestAndDead(t *testing.T) {
	job := makeScan().job()
	pods := []*corev1.Pod{
		makePod(job).named("second").created(epoch.Add(time.Minute)).phase(corev1.PodFailed).obj(),
		makePod(job).named("third").created(epoch.Add(time.Hour)).obj(),
		makePod(job).named("first").created(epoch).phase(corev1.PodFailed).obj(),
	}
	if got := latest(pods).Name; got != "third" {
		t.Errorf("latest is the %s pod", got)
	}
	if got := latest(dead(pods)).Name; got != "second" {
		t.Errorf("the latest death is the %s pod's", got)
	}
	if len(pods) != 3 {
		t.Error("dead changed its input")
	}
	if latest(nil) != nil {
		t.Error("no pods have a latest")
	}
}

func TestEndOf(t *testing.T) {
	condition := func(kind batchv1.JobConditionType, status corev1.ConditionStatus) batchv1.JobCondition {
		return batchv1.JobCondition{Type: kind, Status: status, Reason: "R", Message: "m", LastTransitionTime: metav1.NewTime(epoch)}
	}
	for _, tc := range []struct {
		name       string
		conditions []batchv1.JobCondition
		over       bool
		failed     bool
	}{
		{"no condition", nil, false, false},
		{"complete", []batchv1.JobCondition{condition(batchv1.JobSuccessCriteriaMet, "True"), condition(batchv1.JobComplete, "True")}, true, false},
		{"failed", []batchv1.JobCondition{condition(batchv1.JobFailureTarget, "True"), condition(batchv1.JobFailed, "True")}, true, true},
		{"decided, with pods still at work", []batchv1.JobCondition{condition(batchv1.JobFailureTarget, "True")}, false, false},
		{"met, with pods still at work", []batchv1.JobCondition{condition(batchv1.JobSuccessCriteriaMet, "True")}, false, false},
		{"suspended by a queue", []batchv1.JobCondition{condition(batchv1.JobSuspended, "True")}, false, false},
		{"not failed", []batchv1.JobCondition{condition(batchv1.JobFailed, "False")}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			end, over := endOf(&batchv1.Job{Status: batchv1.JobStatus{Conditions: tc.conditions}})
			if over != tc.over || end.failed != tc.failed {
				t.Errorf("over %v, failed %v", over, end.failed)
			}
			if over && !end.at.Time.Equal(epoch) {
				t.Errorf("it ended at %v", end.at)
			}
		})
	}
	if _, over := endOf(nil); over {
		t.Error("no Job has ended")
	}
}
