// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// add counts an inventory of a worker.
func (l *liveImages) add(worker int32, inventory *v1alpha1.ScanInventory) {
	l.merge(worker, partOf(inventory))
}

// keptRun is a run with an inventory of each of its nodes, on an API server that counts how it is asked for them.
type keptRun struct {
	*testing.T
	*Reconciler
	client.Client
	*pass
	nodes                 int
	whole, metadata, gets int
}

func newKeptRun(t *testing.T, nodes int) *keptRun {
	scan := makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj()
	k := &keptRun{T: t, pass: &pass{scan: scan, run: RunID(scan)}, nodes: nodes}
	k.Client = sweptServer(t).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, metadata := list.(*metav1.PartialObjectMetadataList); metadata {
				k.metadata++
			} else {
				k.whole++
			}
			return c.List(ctx, list, opts...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			k.gets++
			return c.Get(ctx, key, o, opts...)
		},
	}).Build()
	k.Reconciler = &Reconciler{Live: k.Client}
	for n := range nodes {
		k.write(n, fmt.Sprintf("v1-%016x", n%7), "")
	}
	return k
}

func (k *keptRun) inventory(node int) *v1alpha1.ScanInventory {
	labels := JobInputs{Scan: k.scan, Run: k.run}.labels()
	return &v1alpha1.ScanInventory{ObjectMeta: metav1.ObjectMeta{
		Namespace: k.scan.Namespace, Name: inventoryName(JobName(k.scan.Name, k.run), int32(node), 0), Labels: labels}}
}

// write has a node tell of one image, and of its report once it has one.
func (k *keptRun) write(node int, key, report string) {
	k.Helper()
	i := k.inventory(node)
	there := k.Get(k.Context(), client.ObjectKeyFromObject(i), i) == nil
	i.Containers = []v1alpha1.InventoryContainer{{Key: key, Ranks: 2, Report: report}}
	if report != "" {
		i.Entries = []v1alpha1.InventoryEntry{{Path: "a", Outcome: v1alpha1.EntryScanned, Report: report}}
	}
	write := func() error { return k.Create(k.Context(), i) }
	if there {
		write = func() error { return k.Update(k.Context(), i) }
	}
	if err := write(); err != nil {
		k.Fatal(err)
	}
}

// look reads, and tells how the API server was asked. What comes of it is what somebody reads who remembers nothing.
func (k *keptRun) look(want string) {
	k.Helper()
	k.whole, k.metadata, k.gets = 0, 0, 0
	got, err := k.imagesOf(k.Context(), k.pass, k.nodes)
	if err != nil {
		k.Fatal(err)
	}
	if asked := fmt.Sprintf("%d lists, %d lists of metadata, %d gets", k.whole, k.metadata, k.gets); asked != want {
		k.Errorf("%s, want %s", asked, want)
	}
	fresh, err := (&Reconciler{Live: k.Client}).imagesOf(k.Context(), k.pass, k.nodes)
	if err != nil {
		k.Fatal(err)
	}
	if diff := cmp.Diff(fresh, got, cmp.AllowUnexported(liveImages{}, liveImage{})); diff != "" {
		k.Errorf("(-all read +kept):\n%s", diff)
	}
}

func TestOnlyInventoriesThatChangedAreReadAgain(t *testing.T) {
	const all, nothing = "1 lists, 0 lists of metadata, 0 gets", "0 lists, 1 lists of metadata, 0 gets"
	k := newKeptRun(t, 60)
	k.look(all)
	k.look(nothing)
	k.write(3, "v1-0000000000000003", "sr-3")
	k.look("0 lists, 1 lists of metadata, 1 gets")
	k.look(nothing)
	k.write(5, "v1-00000000000000ff", "") // other containers run there now
	k.write(6, "v1-00000000000000ff", "sr-ff")
	k.look("0 lists, 1 lists of metadata, 2 gets")
	if err := k.Delete(t.Context(), k.inventory(7)); err != nil {
		t.Fatal(err)
	}
	k.look(nothing)
	for n := range 30 {
		k.write(n, "v1-0000000000000001", "sr-1")
	}
	k.look("1 lists, 1 lists of metadata, 0 gets")
	k.look(nothing)

	k.readings.drop(client.ObjectKeyFromObject(k.scan))
	k.look(all)
	k.run = "v1-00000000000000aa" // another run, which has left nothing yet
	k.look(all)
	k.look(all)
}

func TestWhatIsKeptOfInventoriesIsBoundedOverAllRuns(t *testing.T) {
	k := newKeptRun(t, 3)
	k.readings.size = maxKept - 5 // other runs
	k.look("1 lists, 0 lists of metadata, 0 gets")
	k.look("1 lists, 0 lists of metadata, 0 gets")
	k.readings.size = maxKept - 6 // three inventories of one image
	k.look("1 lists, 0 lists of metadata, 0 gets")
	k.look("0 lists, 1 lists of metadata, 0 gets")
	if k.readings.drop(client.ObjectKeyFromObject(k.scan)); k.readings.size != maxKept-6 {
		t.Errorf("%d are counted of a run that is over", k.readings.size-maxKept+6)
	}

	large := newReading(k.pass)
	for n := range 3 {
		large.add(fmt.Sprint(n), keptPart{inventoryPart: &inventoryPart{images: make([]partImage, maxKept/2)}})
	}
	if len(large.parts) > 1 {
		t.Errorf("%d inventories are held of a run that is too large", len(large.parts))
	}
}
