// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// look is what is known of the targets of a run. What ends a run is decided by every entry. While it is under way the
// numbers are enough that a cache holds: of 10,000 images the entries are 250 KB packed, and took 46 ms of CPU every ten
// seconds, to which the numbers add up in 14 µs.
func (r *Reconciler) look(ctx context.Context, p *pass) (*tally, error) {
	if _, over := endOf(p.current); !over && !p.overdue() {
		t, whole, err := r.progress(ctx, p)
		if err != nil || whole && !listLost(p.current, t) {
			return t, err
		}
	}
	return r.tally(ctx, p)
}

// progress adds up what the metadata of a run's ScanInventories say of their entries, of which it knows neither paths, nor
// reports, nor deaths. It is not whole where the cache shows fewer inventories than were seen before, or one whose reporter
// does not say: it was started by an earlier operator. A cache that lags brings the scan back when it has seen more.
func (r *Reconciler) progress(ctx context.Context, p *pass) (t *tally, whole bool, err error) {
	t = newTally()
	if t.workers, err = r.workers(ctx, p); err != nil {
		return nil, false, err
	}
	seen, err := r.inventoriesSeen(ctx, p)
	if err != nil {
		return nil, false, err
	}
	job := JobName(p.scan.Name, p.run)
	for i := range seen {
		switch inventory := &seen[i]; {
		case isOfWorker(*inventory):
			if !t.addCounts(job, inventory) {
				return nil, false, nil
			}
		case t.workers > 1:
			t.frozen(job, inventory)
		}
	}
	return t, t.chunks >= p.scan.Status.Inventories, nil
}

// addCounts counts one chunk by its annotation, and the same names as add does; false: it has none.
func (t *tally) addCounts(job string, inventory *metav1.PartialObjectMetadata) bool {
	worker, chunk, ok := parseInventoryName(job, inventory.Name)
	if !ok || worker >= t.workers {
		return true
	}
	text := inventory.Annotations[v1alpha1.AnnotationProgress]
	numbers, listed := parseNumbers(text, 7)
	if !listed {
		if numbers, ok = parseNumbers(text, 6); !ok {
			return false
		}
	}
	t.chunks++
	if listed && chunk == 0 {
		t.share(worker, numbers[6])
	}
	c := &t.targets
	for i, sum := range []*int32{&c.Scanned, &c.Unchanged, &c.Failed, &c.Unsupported, &c.Denied, &c.Changing} {
		increase(sum, numbers[i])
		t.entries[worker] += int64(numbers[i])
	}
	return true
}
