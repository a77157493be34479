// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestTallyAddsUpChunksInAnyOrder(t *testing.T) {
	first := makeInventory(someJob, 0, 0).total(6).
		entries(1, v1alpha1.EntryScanned).entries(1, v1alpha1.EntryUnchanged).entries(1, v1alpha1.EntryFailed)
	second := makeInventory(someJob, 0, 1).total(4). // written before the last look at the volume
								entries(1, v1alpha1.EntryUnsupported).entries(1, v1alpha1.EntryDenied).entries(1, v1alpha1.EntryChanging)
	want := v1alpha1.TargetCounts{Discovered: 6, Scanned: 1, Unchanged: 1, Failed: 1, Unsupported: 1, Denied: 1, Changing: 1}
	for name, order := range map[string][]*inventoryWrapper{
		"the first chunk first": {first, second}, "the first chunk last": {second, first},
	} {
		t.Run(name, func(t *testing.T) {
			got := tallied(order...)
			if diff := cmp.Diff(want, got.targets); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
			if got.chunks != 2 || got.done() != 6 || got.defect() != "" {
				t.Errorf("chunks %d, done %d, defect %q", got.chunks, got.done(), got.defect())
			}
		})
	}
}

func TestTallyCountsNothingThatIsNotTheReportersOwn(t *testing.T) {
	got := tallied(
		makeInventory("another-job", 0, 0).total(1).entries(1, v1alpha1.EntryScanned),
		makeInventory(someJob, 1, 0).total(1).entries(1, v1alpha1.EntryScanned), // a worker that this Job has not
	)
	if got.chunks != 0 || got.done() != 0 || len(got.reports) != 0 {
		t.Errorf("chunks %d, done %d, reports %v", got.chunks, got.done(), got.reports)
	}
}

func TestTallyDefects(t *testing.T) {
	nameless := makeInventory(someJob, 0, 0).total(1).entries(1, v1alpha1.EntryScanned)
	nameless.Entries[0].Report = ""
	unknown := makeInventory(someJob, 0, 0).total(1).entries(1, "perfect")
	for _, tc := range []struct {
		name  string
		tally *tally
		want  string
	}{
		{"a negative total", tallied(makeInventory(someJob, 0, 0).total(-1)), "worker 0 had -1 targets and its ScanInventories have 0"},
		{"more entries than targets", tallied(makeInventory(someJob, 0, 0).total(1).entries(2, v1alpha1.EntryFailed)), "worker 0 had 1 targets and its ScanInventories have 2"},
		{"the first chunk is gone", tallied(makeInventory(someJob, 0, 1).total(1).entries(1, v1alpha1.EntryFailed)), "worker 0 never said how many targets it has"},
		{"an image that was read and has no report", tallied(nameless), "1 scanned image has no report"},
		{"an outcome that we do not know is a failure and no defect", tallied(unknown), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.tally.defect(); got != tc.want {
				t.Errorf("defect = %q, want %q", got, tc.want)
			}
		})
	}
	if n := tallied(unknown).targets.Failed; n != 1 {
		t.Errorf("an unknown outcome counts as %d failures", n)
	}
}

func TestProgressText(t *testing.T) {
	for _, tc := range []struct {
		name  string
		tally *tally
		want  string
	}{
		{"nothing yet", tallied(), "the images are not all listed yet"},
		{"entries before the list is whole", tallied(makeInventory(someJob, 0, 0).entries(1, v1alpha1.EntryScanned)), "the images are not all listed yet"},
		{"on its way", tallied(makeInventory(someJob, 0, 0).total(3).entries(1, v1alpha1.EntryScanned)), "1 of 3 images done"},
		{"one image", tallied(makeInventory(someJob, 0, 0).total(1)), "0 of 1 image done"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := progressText(tc.tally); got != tc.want {
				t.Errorf("progressText = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTheAPIServerIsAskedForInventoriesOnceThereAreAnyOrTheRunIsOver(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	scan := makeScan().obj()
	run := RunID(scan)
	inventory := func(run string) *v1alpha1.ScanInventory {
		return &v1alpha1.ScanInventory{ObjectMeta: metav1.ObjectMeta{
			Namespace: scan.Namespace, Name: inventoryName(JobName(scan.Name, run), 0, 0),
			Labels: map[string]string{
				v1alpha1.LabelScanUID: string(scan.UID), v1alpha1.LabelRun: run, v1alpha1.LabelWorker: "0", v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
			},
		}}
	}
	over := func(p *pass) {
		p.current.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
	}
	overdue := func(p *pass) {
		p.scan.Spec.Deadline = &metav1.Duration{Duration: time.Second}
		p.current.Status.StartTime = &metav1.Time{Time: epoch.Add(-time.Hour)}
	}
	for _, tc := range []struct {
		name   string
		cached *v1alpha1.ScanInventory
		change func(*pass)
		want   int
	}{
		{"a run that has just begun", nil, func(*pass) {}, 0},
		{"one with an inventory of an earlier run", inventory("v1-earlier"), func(*pass) {}, 0},
		{"one with an inventory", inventory(run), func(*pass) {}, 1},
		{"one whose inventory the cache lost", nil, func(p *pass) { p.scan.Status.Inventories = 1 }, 1},
		{"one that is over", nil, over, 1},
		{"one past its deadline", nil, overdue, 1},
	} {
		cache := fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.ScanInventory{}, indexUID, byScanUID)
		if tc.cached != nil {
			cache.WithObjects(tc.cached)
		}
		var asked int
		live := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				asked++
				return c.List(ctx, list, opts...)
			},
		}).Build()
		p := &pass{scan: scan.DeepCopy(), run: run, now: epoch, children: children{current: cached(makeScan().job())}}
		tc.change(p)
		if _, err := (&Reconciler{Client: cacheOf(cache.Build()), Live: live}).look(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if asked != tc.want {
			t.Errorf("%s: the API server was asked %d times, want %d", tc.name, asked, tc.want)
		}
	}
}
