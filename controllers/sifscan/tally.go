// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"cmp"
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// inventoryPage is how many ScanInventories are read at once. One may have 2,000 entries and
// 700 KiB, so the operator holds at most 7 MiB of them.
const inventoryPage = 10

// tally adds up the ScanInventories of a run.
type tally struct {
	// workers of the run, and planned, the number of targets in the list that several share; nil
	// until it is stored.
	workers int32
	planned *int64
	chunks  int32
	targets v1alpha1.TargetCounts
	// entries and totals by worker. The first chunk says how many targets a worker has; absent
	// until it does.
	entries map[int32]int64
	totals  map[int32]int64
	// blamed are the deaths of each worker's pods that images may have caused.
	blamed map[int32]int
	// reports of the images that were read or are unchanged.
	reports map[string]struct{}
	// failures are the reports of the other images.
	failures map[string]struct{}
	// nameless entries claim to be read and name no report.
	nameless int
	// unsaid failures have no report; notStored is what an inventory says of the first.
	unsaid    int
	notStored string
	// unreadable says which inventory cannot be read, and why.
	unreadable string
	// denied and changing paths, the first of them.
	denied, changing pathNames
}

func newTally() *tally {
	return &tally{workers: 1, entries: map[int32]int64{}, totals: map[int32]int64{}, blamed: map[int32]int{}, reports: map[string]struct{}{}, failures: map[string]struct{}{}}
}

// tally reads the inventories of a run from the API, not from a cache: they grow with the
// number of images.
func (r *Reconciler) tally(ctx context.Context, p *pass) (*tally, error) {
	t, err := r.planned(ctx, p)
	if err != nil {
		return nil, err
	}
	return t, r.eachInventory(ctx, p, func(inventory *v1alpha1.ScanInventory) { t.add(JobName(p.scan.Name, p.run), inventory) })
}

func isOfWorker(i metav1.PartialObjectMetadata) bool {
	_, is := i.Labels[v1alpha1.LabelWorker]
	return is
}

// eachInventory calls fn with what the workers of the run left, but for the list that they share.
func (r *Reconciler) eachInventory(ctx context.Context, p *pass, fn func(*v1alpha1.ScanInventory)) error {
	return eachPage(ctx, r.Live, "ScanInventories of run "+p.run, inventoryPage, inventoryList, func(page *v1alpha1.ScanInventoryList) error {
		for i := range page.Items {
			fn(&page.Items[i])
		}
		return nil
	}, client.InNamespace(p.scan.Namespace), ofRun(p), client.HasLabels{v1alpha1.LabelWorker})
}

// add counts one chunk. A ScanInventory under another name is not the reporter's.
func (t *tally) add(job string, inventory *v1alpha1.ScanInventory) {
	worker, chunk, ok := parseInventoryName(job, inventory.Name)
	if !ok || worker >= t.workers {
		return
	}
	t.chunks++
	if total := inventory.Worker.Total; chunk == 0 && total != nil {
		t.share(worker, *total)
	}
	if chunk == 0 { // all chunks repeat it
		t.suspect(worker, inventory.Worker.InFlight)
		t.notStored = cmp.Or(t.notStored, printable(inventory.Annotations[v1alpha1.AnnotationNotStored], maxDetail))
	}
	entries, err := inventory.AllEntries()
	if err != nil {
		t.unreadable = printable(err.Error(), maxDetail)
		return
	}
	t.entries[worker] += int64(len(entries))
	t.blame(worker, entries)
	for i := range entries {
		t.count(&entries[i])
	}
}

// share takes over how many targets a worker has.
func (t *tally) share(worker, total int32) {
	t.totals[worker] = int64(total)
	if t.workers == 1 {
		t.targets.Discovered = max(total, 0)
	}
}

func (t *tally) count(entry *v1alpha1.InventoryEntry) {
	if read := entry.Outcome == v1alpha1.EntryScanned || entry.Outcome == v1alpha1.EntryUnchanged; !read && entry.Report != "" {
		t.failures[entry.Report] = struct{}{}
	}
	switch entry.Outcome {
	case v1alpha1.EntryScanned:
		t.targets.Scanned++
		t.cover(entry.Report)
	case v1alpha1.EntryUnchanged:
		t.targets.Unchanged++
		t.cover(entry.Report)
	case v1alpha1.EntryUnsupported:
		t.targets.Unsupported++
	case v1alpha1.EntryDenied:
		t.targets.Denied++
		t.denied.add(entry.Path)
	case v1alpha1.EntryChanging:
		t.targets.Changing++
		t.changing.add(entry.Path)
	default:
		t.targets.Failed++
		if entry.Report == "" {
			t.unsaid++
		}
	}
}

func (t *tally) cover(report string) {
	if report == "" {
		t.nameless++
		return
	}
	t.reports[report] = struct{}{}
}

// done is the number of targets that have an outcome.
func (t *tally) done() int64 {
	var n int64
	for _, entries := range t.entries {
		n += entries
	}
	return n
}

// listed reports whether it is known how many targets there are.
func (t *tally) listed() bool {
	if t.workers > 1 {
		return t.planned != nil
	}
	return len(t.totals) == 1
}

// defect says in what way the inventories of a finished run do not account for every target;
// empty when they do. A run without an inventory is never a clean one.
func (t *tally) defect() string {
	var all int64
	for worker := range t.workers {
		total, ok := t.totals[worker]
		all += total
		switch {
		case t.chunks == 0:
			return "it left no ScanInventory"
		case t.unreadable != "":
			return t.unreadable
		case !ok:
			return fmt.Sprintf("worker %d never said how many targets it has", worker)
		case t.entries[worker] != total:
			return fmt.Sprintf("worker %d had %d targets and its ScanInventories have %d", worker, total, t.entries[worker])
		}
	}
	switch {
	case t.workers > 1 && t.planned == nil:
		return "the list that its workers shared is gone"
	case t.workers > 1 && all != *t.planned:
		return fmt.Sprintf("the list has %d targets and the workers' shares have %d", *t.planned, all)
	}
	if t.nameless > 0 {
		return fmt.Sprintf("%s no report", counted(t.nameless, "scanned image has", "scanned images have"))
	}
	return ""
}

// counted writes a number with the word that fits it.
func counted[N int | int32 | int64](n N, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}
