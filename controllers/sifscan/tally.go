// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// inventoryPage is how many ScanInventories are read at once. One may have 2,000 entries and
// 700 KiB, so the operator holds at most 7 MiB of them.
const inventoryPage = 10

// tally adds up the ScanInventories of a run.
type tally struct {
	chunks  int32
	targets v1alpha1.TargetCounts
	// entries and totals by worker. The first chunk says how many targets a worker has; absent
	// until it does.
	entries map[int32]int64
	totals  map[int32]int64
	// reports of the images that were read or are unchanged.
	reports map[string]struct{}
	// nameless entries claim to be read and name no report.
	nameless int
}

func newTally() *tally {
	return &tally{entries: map[int32]int64{}, totals: map[int32]int64{}, reports: map[string]struct{}{}}
}

// tally reads the inventories of a run from the API, not from a cache: they grow with the
// number of images.
func (r *Reconciler) tally(ctx context.Context, scan *v1alpha1.SIFScan, run string) (*tally, error) {
	t := newTally()
	for next := ""; ; {
		page := &v1alpha1.ScanInventoryList{}
		err := r.Live.List(ctx, page, client.InNamespace(scan.Namespace),
			client.MatchingLabels{v1alpha1.LabelScanUID: string(scan.UID), v1alpha1.LabelRun: run},
			client.Limit(inventoryPage), client.Continue(next))
		if err != nil {
			return nil, fmt.Errorf("list ScanInventories of run %s: %w", run, err)
		}
		for i := range page.Items {
			t.add(JobName(scan.Name, run), &page.Items[i])
		}
		if next = page.Continue; next == "" {
			return t, nil
		}
	}
}

// add counts one chunk. A ScanInventory under another name is not the reporter's.
func (t *tally) add(job string, inventory *v1alpha1.ScanInventory) {
	worker, chunk, ok := parseInventoryName(job, inventory.Name)
	if !ok || worker >= workers {
		return
	}
	t.chunks++
	if total := inventory.Worker.Total; chunk == 0 && total != nil {
		t.totals[worker] = int64(*total)
		t.targets.Discovered += max(*total, 0)
	}
	t.entries[worker] += int64(len(inventory.Entries))
	for i := range inventory.Entries {
		t.count(&inventory.Entries[i])
	}
}

func (t *tally) count(entry *v1alpha1.InventoryEntry) {
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
	case v1alpha1.EntryChanging:
		t.targets.Changing++
	default:
		t.targets.Failed++
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

// listed reports whether every worker has said how many targets it has.
func (t *tally) listed() bool { return len(t.totals) == workers }

// defect says in what way the inventories of a finished run do not account for every target;
// empty when they do. A run without an inventory is never a clean one.
func (t *tally) defect() string {
	for worker := range int32(workers) {
		total, ok := t.totals[worker]
		switch {
		case t.chunks == 0:
			return "it left no ScanInventory"
		case !ok:
			return fmt.Sprintf("worker %d never said how many targets it has", worker)
		case t.entries[worker] != total:
			return fmt.Sprintf("worker %d had %d targets and its ScanInventories have %d", worker, total, t.entries[worker])
		}
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
