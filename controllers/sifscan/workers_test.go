// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func withWorkers(n int32) func(*v1alpha1.SIFScan) {
	return func(s *v1alpha1.SIFScan) { s.Spec.Parallelism = ptr.To(n) }
}

func TestAskedWorkersAreWhatTheAPIAllows(t *testing.T) {
	for _, tc := range []struct {
		name  string
		asked *int32
		want  int32
	}{
		{"nothing is one", nil, 1}, {"some", ptr.To[int32](4), 4}, {"the most", ptr.To[int32](64), 64},
		{"stored before there was a bound", ptr.To[int32](1000), 64}, {"none", ptr.To[int32](0), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := askedWorkers(&v1alpha1.SIFScanSpec{Parallelism: tc.asked}); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestAnotherNumberOfWorkersIsNoOtherRun(t *testing.T) {
	if got, want := makeScan().with(withWorkers(8)).run(), makeScan().run(); got != want {
		t.Errorf("RunID = %s, want %s", got, want)
	}
}

func TestAJobOfSeveralWorkersTellsBothHalvesHowManyTheyAre(t *testing.T) {
	job := BuildJob(JobInputs{Scan: makeScan().obj(), Run: makeScan().run(), Workers: 4, Config: config, Identity: config.Identity, ClaimUIDs: []types.UID{claimUID}})
	if got := []int32{*job.Spec.Completions, *job.Spec.Parallelism, *job.Spec.BackoffLimitPerIndex}; !slices.Equal(got, []int32{4, 4, backoffLimit}) {
		t.Errorf("completions, parallelism, backoffLimitPerIndex: %v", got)
	}
	if job.Spec.BackoffLimit != nil || job.Spec.MaxFailedIndexes != nil {
		t.Error("a worker that gives up would end the others")
	}
	pod := job.Spec.Template.Spec
	for _, c := range []corev1.Container{pod.InitContainers[len(pod.InitContainers)-1], pod.Containers[0]} {
		if !slices.Contains(c.Args, "--workers=4") {
			t.Errorf("container %s is not told: %v", c.Name, c.Args)
		}
	}
}

// pods of workers, a letter each: w works, d died, h is held, s ended well; in the order of creation.
func podsLike(job *batchv1.Job, letters ...string) (pods []*corev1.Pod) {
	for worker, each := range letters {
		for n, letter := range each {
			p := makePod(job).named(fmt.Sprintf("%s-%d-%d", job.Name, worker, n)).created(epoch.Add(time.Duration(n) * time.Minute)).on("n1")
			metav1.SetMetaDataAnnotation(&p.ObjectMeta, batchv1.JobCompletionIndexAnnotation, fmt.Sprint(worker))
			switch letter {
			case 'w':
				p.phase(corev1.PodRunning)
			case 'd':
				p.scannerEnded(137, reasonOOMKilled, "")
			case 'h':
				p.condition(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "0/3 nodes are available")
			case 's':
				p.scannerEnded(0, "Completed", "")
			}
			pods = append(pods, p.obj())
		}
	}
	return pods
}

func TestCrewOf(t *testing.T) {
	for _, tc := range []struct {
		name         string
		pods         []string
		working      int
		died, held   []int32
		deaths       []int32
		notes, quiet string
	}{
		{"nobody yet", nil, 0, nil, nil, nil, "", ""},
		{"all work", []string{"w", "w"}, 2, nil, nil, nil, "", "worker"},
		{"one died and has a new pod", []string{"w", "dw"}, 2, nil, nil, []int32{1}, "", "worker"},
		{"one died, and its new pod is not there yet", []string{"w", "w", "wd"}, 2, []int32{2}, nil, []int32{2}, "worker 2: OOMKilled", "worker 0"},
		{"one finds no room", []string{"w", "h"}, 1, nil, []int32{1}, nil, "worker 1: Unschedulable", "worker 0"},
		{"one died and its new pod finds no room", []string{"w", "dh"}, 1, nil, []int32{1}, []int32{1}, "worker 1: Unschedulable", "OOMKilled"},
		{"some have finished", []string{"s", "ds", "w"}, 1, nil, nil, []int32{1}, "", "worker"},
		{"nobody works", []string{"s", "d", "h"}, 0, []int32{1}, []int32{2}, []int32{1}, "worker 1: OOMKilled", "worker 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := crewOf(podsLike(makeScan().job(), tc.pods...), epoch)
			var died, held, deaths []int32
			for _, d := range c.died {
				died = append(died, d.worker)
			}
			for _, h := range c.held {
				held = append(held, h.worker)
			}
			for _, d := range c.deaths {
				deaths = append(deaths, d.worker)
			}
			if c.working != tc.working || !slices.Equal(died, tc.died) || !slices.Equal(held, tc.held) || !slices.Equal(deaths, tc.deaths) {
				t.Errorf("working %d, died %v, held %v, deaths %v", c.working, died, held, deaths)
			}
			if notes := c.notes(); !strings.Contains(notes, tc.notes) || tc.quiet != "" && strings.Contains(notes, tc.quiet) {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

func TestNotesOfManyWorkersFitACondition(t *testing.T) {
	if n := len(crewOf(podsLike(makeScan().job(), slices.Repeat([]string{"d"}, maxWorkers)...), epoch).notes()); n > maxNotes || n < maxNotes/2 {
		t.Errorf("%d bytes", n)
	}
}

func TestParseIndexesReadsTheJobControllersLists(t *testing.T) {
	for text, want := range map[string][]int32{
		"": nil, "0": {0}, "1,3-5,7": {1, 3, 4, 5, 7}, "63": {63},
		"x": nil, "-": nil, "5-3": nil, "0-99999999": nil, "-1": nil, "2,x,4": {2, 4},
	} {
		if got := parseIndexes(text); !slices.Equal(got, want) {
			t.Errorf("parseIndexes(%q) = %v, want %v", text, got, want)
		}
	}
}

// ofWorkers is a tally of several workers over a list of some targets; fewer than none: not stored.
func ofWorkers(workers int32, planned int, inventories ...*inventoryWrapper) *tally {
	t := newTally()
	t.workers = workers
	if planned >= 0 {
		t.frozen(someJob, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: someJob + "-plan", Annotations: map[string]string{v1alpha1.AnnotationPlanned: fmt.Sprintf("%d/1", planned)}}})
	}
	for _, i := range inventories {
		t.add(someJob, &i.ScanInventory)
	}
	return t
}

func TestARunOfSeveralWorkersIsBelievedOnlyWhenEveryTargetOfTheListHasAnOutcome(t *testing.T) {
	share := func(worker, total int32, done int) *inventoryWrapper {
		return makeInventory(someJob, worker, 0).total(total).entries(done, v1alpha1.EntryFailed)
	}
	for _, tc := range []struct {
		name  string
		tally *tally
		want  string
	}{
		{"all is accounted for", ofWorkers(2, 3, share(0, 2, 2), share(1, 1, 1)), ""},
		{"a worker without a share", ofWorkers(2, 1, share(0, 1, 1), share(1, 0, 0)), ""},
		{"the list was never stored", ofWorkers(2, -1, share(0, 2, 2), share(1, 1, 1)), "the list that its workers shared is gone"},
		{"a worker left nothing", ofWorkers(2, 2, share(0, 2, 2)), "worker 1 never said how many targets it has"},
		{"a worker is not at its end", ofWorkers(2, 3, share(0, 2, 2), share(1, 1, 0)), "worker 1 had 1 targets and its ScanInventories have 0"},
		{"shares of another list", ofWorkers(2, 40, share(0, 2, 2), share(1, 1, 1)), "the list has 40 targets and the workers' shares have 3"},
		{"a worker that the run has not", ofWorkers(2, 3, share(0, 2, 2), share(2, 1, 1)), "worker 1 never said how many targets it has"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.tally.defect(); got != tc.want {
				t.Errorf("defect = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestProgressOfSeveralWorkersIsKnownFromTheirListOn(t *testing.T) {
	before := ofWorkers(2, -1, makeInventory(someJob, 0, 0))
	if got := progressText(before); got != "the images are not all listed yet" {
		t.Errorf("before: %q", got)
	}
	after := ofWorkers(2, 40, makeInventory(someJob, 1, 0).total(20).entries(3, v1alpha1.EntryScanned))
	if got := progressText(after); got != "3 of 40 images done" || after.targets.Discovered != 40 {
		t.Errorf("after: %q, discovered %d", got, after.targets.Discovered)
	}
}

func TestOnlyTheHeadSaysHowManyTargetsAListHas(t *testing.T) {
	for name, object := range map[string]*metav1.PartialObjectMetadata{
		"a part":           makeReport(someJob+"-plan-0a1b-1", v1alpha1.AnnotationPlanned, "7/2"),
		"another run's":    makeReport("other-plan", v1alpha1.AnnotationPlanned, "7/2"),
		"no number":        makeReport(someJob+"-plan", v1alpha1.AnnotationPlanned, "many"),
		"less than none":   makeReport(someJob+"-plan", v1alpha1.AnnotationPlanned, "-7/1"),
		"no annotation":    makeReport(someJob + "-plan"),
		"more than counts": makeReport(someJob+"-plan", v1alpha1.AnnotationPlanned, "99999999999/1"),
	} {
		tally := newTally()
		if tally.frozen(someJob, object); tally.planned != nil {
			t.Errorf("%s: %d", name, *tally.planned)
		}
	}
}

func TestAnInventoryThatCannotBeReadIsADefectAndNoEmptyOne(t *testing.T) {
	broken := makeInventory(someJob, 0, 0).total(0)
	broken.EntriesGz = []byte("x")
	if got := tallied(broken).defect(); !strings.Contains(got, "entriesGz") {
		t.Errorf("defect %q", got)
	}
}

func TestAListIsLostWithTheWorkerThatShouldHaveMadeIt(t *testing.T) {
	job := func(failed string) *batchv1.Job {
		return &batchv1.Job{Status: batchv1.JobStatus{FailedIndexes: &failed}}
	}
	for _, tc := range []struct {
		name  string
		job   *batchv1.Job
		tally *tally
		want  bool
	}{
		{"it gave up before there was a list", job("0"), ofWorkers(4, -1), true},
		{"it gave up later: the others go on", job("0"), ofWorkers(4, 40), false},
		{"another gave up", job("1-3"), ofWorkers(4, -1), false},
		{"nobody gave up", &batchv1.Job{}, ofWorkers(4, -1), false},
		{"a single worker shares no list", job("0"), newTally(), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := listLost(tc.job, tc.tally); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAFailedRunTellsWhyTheWorkerGaveUpThatDid(t *testing.T) {
	scan := makeScan().obj()
	job := makeScan().job()
	job.Status.FailedIndexes = ptr.To("1")
	pods := podsLike(job, "ds", "d")
	pods[0].Status.ContainerStatuses[0].State.Terminated.Reason = "Error"                                                  // worker 0 met something else
	pods[0].CreationTimestamp, pods[1].CreationTimestamp = metav1.NewTime(epoch.Add(time.Hour)), pods[0].CreationTimestamp // and later
	p := &pass{scan: scan, now: epoch, children: children{current: cached(job), pods: pods}}
	p.fail(ofWorkers(2, 2, makeInventory(someJob, 0, 0).total(1).entries(1, v1alpha1.EntryFailed)), jobEnd{reason: "FailedIndexes"})
	ready := meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionReady)
	if ready.Reason != v1alpha1.ReasonOOMKilled || !strings.Contains(ready.Message, "1 worker of 2 gave up, the others have finished") ||
		!strings.Contains(ready.Message, "1 of 2 images done") {
		t.Errorf("%s: %s", ready.Reason, ready.Message)
	}
}
