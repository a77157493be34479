// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// errAsked is what whoever asks the API server for entries is told.
var errAsked = errors.New("the entries are read")

// underWay is a run of some workers, of which the cache shows inventories.
func underWay(t *testing.T, workers int32, inventories ...*v1alpha1.ScanInventory) (*Reconciler, *pass) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	scan := makeScan()
	cache := fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.ScanInventory{}, indexUID, byScanUID)
	for _, inventory := range inventories {
		cache.WithObjects(inventory)
	}
	live := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, entries := list.(*v1alpha1.ScanInventoryList); entries {
				return errAsked
			}
			return c.List(ctx, list, opts...)
		},
	}).Build()
	p := &pass{scan: scan.obj(), run: scan.run(), now: epoch, children: children{current: cached(scan.job())}}
	p.current.Spec.Completions = ptr.To(workers)
	return &Reconciler{Client: cacheOf(cache.Build()), Live: live}, p
}

// progressOf looks at it, where some inventories were known before.
func progressOf(t *testing.T, workers, known int32, inventories ...*v1alpha1.ScanInventory) (got *tally, asked bool) {
	t.Helper()
	r, p := underWay(t, workers, inventories...)
	p.scan.Status.Inventories = known
	got, err := r.look(t.Context(), p)
	if err != nil && !errors.Is(err, errAsked) {
		t.Fatal(err)
	}
	return got, err != nil
}

// cachedInventory is a chunk with an annotation; empty: it has none.
func cachedInventory(worker, chunk int32, progress string) *v1alpha1.ScanInventory {
	scan := makeScan()
	inventory := makeInventory(JobName(scan.Name, scan.run()), worker, chunk).ScanInventory
	inventory.Labels = map[string]string{
		v1alpha1.LabelScanUID: string(scan.UID), v1alpha1.LabelRun: scan.run(), v1alpha1.LabelWorker: strconv.Itoa(int(worker)),
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
	}
	if progress != "" {
		metav1.SetMetaDataAnnotation(&inventory.ObjectMeta, v1alpha1.AnnotationProgress, progress)
	}
	return &inventory
}

func TestTheProgressOfARunIsWhatItsInventoriesSayInShort(t *testing.T) {
	got, asked := progressOf(t, 1, 2,
		cachedInventory(0, 0, "1/2/3/4/5/1/20"),
		cachedInventory(0, 1, "2/0/0/0/0/0/10")) // written before the last look at the volume

	want := v1alpha1.TargetCounts{Discovered: 20, Scanned: 3, Unchanged: 2, Failed: 3, Unsupported: 4, Denied: 5, Changing: 1}
	if asked {
		t.Fatal("the API server was asked")
	}
	if diff := cmp.Diff(want, got.targets); diff != "" || got.chunks != 2 || progressText(got) != "18 of 20 images done" {
		t.Errorf("%d chunks, %s\n%s", got.chunks, progressText(got), diff)
	}
}

func TestTheProgressOfWorkersIsThatOfTheListWhichTheyShare(t *testing.T) {
	list := cachedInventory(0, 0, "")
	list.Name = JobName("shared-images", makeScan().run()) + "-plan"
	delete(list.Labels, v1alpha1.LabelWorker)
	list.Labels[v1alpha1.LabelPlan] = "0a1b"
	metav1.SetMetaDataAnnotation(&list.ObjectMeta, v1alpha1.AnnotationPlanned, "9/1")
	shares := []*v1alpha1.ScanInventory{cachedInventory(0, 0, "1/0/0/0/0/0/5"), cachedInventory(1, 0, "2/0/0/0/0/0/4"), cachedInventory(2, 0, "7/0/0/0/0/0/7")}
	if got, asked := progressOf(t, 2, 2, shares...); asked || progressText(got) != "the images are not all listed yet" {
		t.Errorf("before there is a list: asked %v, %+v", asked, got)
	}
	if got, asked := progressOf(t, 2, 2, append(shares, list)...); asked || progressText(got) != "3 of 9 images done" {
		t.Errorf("two workers, and a third that they have not: asked %v, %+v", asked, got)
	}
}

func TestTheEntriesAreReadWhereInventoriesDoNotSayInShort(t *testing.T) {
	for name, tc := range map[string]struct {
		known       int32
		inventories []*v1alpha1.ScanInventory
		asked       bool
	}{
		"they do":                               {2, []*v1alpha1.ScanInventory{cachedInventory(0, 0, "1/0/0/0/0/0/3"), cachedInventory(0, 1, "1/0/0/0/0/0")}, false},
		"one of an earlier reporter":            {1, []*v1alpha1.ScanInventory{cachedInventory(0, 0, "1/0/0/0/0/0/3"), cachedInventory(0, 1, "")}, true},
		"numbers that are none":                 {1, []*v1alpha1.ScanInventory{cachedInventory(0, 0, "1/0/0/0/0/x/3")}, true},
		"negative numbers":                      {1, []*v1alpha1.ScanInventory{cachedInventory(0, 0, "1/0/0/0/0/0/-3")}, true},
		"too few of them":                       {1, []*v1alpha1.ScanInventory{cachedInventory(0, 0, "1/0")}, true},
		"the cache shows fewer than there were": {2, []*v1alpha1.ScanInventory{cachedInventory(0, 0, "1/0/0/0/0/0/3")}, true},
	} {
		if _, asked := progressOf(t, 1, tc.known, tc.inventories...); asked != tc.asked {
			t.Errorf("%s: asked %v, want %v", name, asked, tc.asked)
		}
	}
}

func TestTheEntriesAreReadWhereTheyDecideWhatARunComesTo(t *testing.T) {
	died := func(p *pass) *corev1.Pod {
		return makePod(p.current).failed("", "").scannerEnded(137, "OOMKilled", "").obj()
	}
	for name, tc := range map[string]struct {
		change func(*pass)
		asked  bool
	}{
		"at work": {func(p *pass) { p.pods = []*corev1.Pod{makePod(p.current).phase(corev1.PodRunning).obj()} }, false},
		"one died, another is at work": {func(p *pass) {
			p.pods = []*corev1.Pod{died(p), makePod(p.current).created(epoch.Add(time.Minute)).phase(corev1.PodRunning).obj()}
		}, false},
		"one died, and which images it is blamed on": {func(p *pass) { p.pods = []*corev1.Pod{died(p)} }, true},
		"past its deadline": {func(p *pass) {
			p.scan.Spec.Deadline = &metav1.Duration{Duration: time.Second}
			p.current.Status.StartTime = &metav1.Time{Time: epoch.Add(-time.Hour)}
		}, true},
		"nobody is left to make the list that its workers share": {func(p *pass) {
			p.current.Spec.Completions, p.current.Status.FailedIndexes = ptr.To[int32](2), ptr.To("0")
		}, true},
		"over": {func(p *pass) {
			p.current.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
		}, true},
	} {
		r, p := underWay(t, 1, cachedInventory(0, 0, "1/0/0/0/0/0/3"))
		r.prepare()
		tc.change(p)
		_, err := r.observe(t.Context(), p)
		if asked := errors.Is(err, errAsked); asked != tc.asked || err != nil && !asked {
			t.Errorf("%s: asked %v, want %v: %v", name, asked, tc.asked, err)
		}
	}
}
