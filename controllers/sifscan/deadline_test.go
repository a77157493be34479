// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func within(d time.Duration) *scanWrapper {
	return makeScan().with(func(s *v1alpha1.SIFScan) { s.Spec.Deadline = &metav1.Duration{Duration: d} })
}

func TestTheDeadlineIsThePodsAndNotTheJobs(t *testing.T) {
	job := within(90 * time.Minute).job()
	if job.Spec.ActiveDeadlineSeconds != nil {
		t.Error("at the Job's deadline its pods would be deleted, with what they have to say")
	}
	for name, tc := range map[string]struct {
		scan *scanWrapper
		want *int64
	}{
		"none":                     {makeScan(), nil},
		"hours":                    {within(90 * time.Minute), ptr.To[int64](5400)},
		"a part of a second is up": {within(1500 * time.Millisecond), ptr.To[int64](2)},
	} {
		if got := tc.scan.job().Spec.Template.Spec.ActiveDeadlineSeconds; ptr.Deref(got, -1) != ptr.Deref(tc.want, -1) {
			t.Errorf("%s: %v, want %v", name, ptr.Deref(got, -1), ptr.Deref(tc.want, -1))
		}
	}
}

func TestWhenARunMustHaveEnded(t *testing.T) {
	started := func(job *batchv1.Job) *batchv1.Job {
		job.Status.StartTime = ptr.To(metav1.NewTime(epoch.Add(time.Minute)))
		return cached(job)
	}
	scan := within(time.Hour)
	suspended := started(scan.job())
	suspended.Spec.Suspend = ptr.To(true)
	for _, tc := range []struct {
		name string
		scan *scanWrapper
		job  *batchv1.Job
		want time.Time
	}{
		{"an hour after the Job started", scan, started(scan.job()), epoch.Add(time.Minute + time.Hour)},
		{"no deadline", makeScan(), started(scan.job()), time.Time{}},
		{"no Job yet", scan, nil, time.Time{}},
		{"not started yet", scan, cached(scan.job()), time.Time{}},
		{"time in a queue does not count", scan, suspended, time.Time{}},
	} {
		got, limited := deadlineOf(&tc.scan.Spec, tc.job)
		if !got.Equal(tc.want) || limited != !tc.want.IsZero() {
			t.Errorf("%s: %v, %v; want %v", tc.name, got, limited, tc.want)
		}
	}
}

func TestARunThatIsGivenUpSaysWhatIsDoneAndWhatToRaise(t *testing.T) {
	scan := within(time.Hour).obj()
	p := &pass{scan: scan, run: RunID(scan), now: epoch}
	p.giveUp(newTally())
	if scan.Status.CompletionTime == nil || reasonOf(&scan.Status) != v1alpha1.ReasonDeadlineExceeded {
		t.Errorf("status %+v", scan.Status)
	}
	message := scan.Status.Conditions[0].Message
	for _, part := range []string{"longer than spec.deadline of 1h0m0s", "raise spec.deadline, for instance to 2h,", v1alpha1.AnnotationRescanAt} {
		if !strings.Contains(message, part) {
			t.Errorf("%q does not say %q", message, part)
		}
	}
}

func TestDeadlineAndQueueStartNoNewRun(t *testing.T) {
	scan := within(time.Hour).with(func(s *v1alpha1.SIFScan) {
		s.Spec.Scheduling.QueueName, s.Spec.Scheduling.SchedulerName = "scans", "other"
	})
	if scan.run() != makeScan().run() {
		t.Error("raising the deadline would end the run that needs it")
	}
}

func TestAQueuedJobIsMadeSuspendedAndNamesItsQueue(t *testing.T) {
	job := makeScan().with(func(s *v1alpha1.SIFScan) { s.Spec.Scheduling.QueueName = "scans" }).job()
	if !isSuspended(job) || job.Labels[labelQueue] != "scans" {
		t.Errorf("suspend %v, labels %v", job.Spec.Suspend, job.Labels)
	}
	if _, there := job.Spec.Template.Labels[labelQueue]; there {
		t.Error("Kueue would also take each pod for a workload")
	}
	if text := inQueue(job); !strings.Contains(text, "queue scans") {
		t.Errorf("%q", text)
	}
	other := makeScan().job()
	if other.Spec.Suspend != nil || other.Labels[labelQueue] != "" {
		t.Error("a Job without a queue is suspended")
	}
	if text := inQueue(other); !strings.Contains(text, "set spec.scheduling.queueName") {
		t.Errorf("%q", text)
	}
}

func TestWhatAJobTakesASlotFor(t *testing.T) {
	job := func(change func(*batchv1.Job)) *batchv1.Job {
		job := makeScan().job()
		change(job)
		return job
	}
	condition := func(kind batchv1.JobConditionType) func(*batchv1.Job) {
		return func(job *batchv1.Job) {
			job.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: "True"}}
		}
	}
	for _, tc := range []struct {
		name string
		job  *batchv1.Job
		want bool
	}{
		{"new", job(func(*batchv1.Job) {}), true},
		{"about to fail: its pods still end", job(condition(batchv1.JobFailureTarget)), true},
		{"complete", job(condition(batchv1.JobComplete)), false},
		{"failed", job(condition(batchv1.JobFailed)), false},
		{"suspended by Kueue", job(func(job *batchv1.Job) { job.Spec.Suspend = ptr.To(true) }), false},
	} {
		if got := atWork(cached(tc.job)); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
