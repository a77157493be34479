// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// longTailed is a list whose sizes are as on a shared volume.
func longTailed(seed uint64, n int) []Item {
	items := make([]Item, n)
	for i, size := range fixtures.ImageSizes(rand.New(rand.NewPCG(seed, 0)), n) {
		items[i] = Item{Kind: Image, Path: fmt.Sprintf("projects/%d/%d.sif", i%17, i), Size: size}
	}
	return items
}

func load(items []Item) (sum int64) {
	for _, i := range items {
		sum += i.cost()
	}
	return sum
}

func TestEveryItemIsInExactlyOneShareWhateverTheListAndTheWorkers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		items := make([]Item, r.IntN(150))
		for i := range items {
			items[i] = Item{
				Kind: []Kind{Image, Directory, Reference, Failure}[r.IntN(4)],
				// Equal sizes, none, and what no honest file system says.
				Path: fmt.Sprintf("%d", i), Size: []int64{0, 1 << 20, r.Int64(), -1, math.MaxInt64}[r.IntN(5)],
			}
		}
		workers := 1 + r.IntN(64)
		seen := map[string]int{}
		for w := range workers {
			share := Share(items, workers, w)
			if again := Share(slices.Clone(items), workers, w); !cmp.Equal(share, again) {
				t.Fatalf("worker %d of %d has another share when asked again", w, workers)
			}
			at := -1
			inOrder := func(i Item) bool {
				next := at + 1 + slices.Index(items[at+1:], i)
				forwards := next > at
				at = next
				return forwards
			}
			if slices.ContainsFunc(share, func(i Item) bool { return !inOrder(i) }) {
				t.Fatalf("worker %d of %d: its share is not in the list's order", w, workers)
			}
			for _, i := range share {
				seen[i.Path]++
			}
		}
		if len(seen) != len(items) {
			t.Fatalf("%d of %d items are in a share of %d workers", len(seen), len(items), workers)
		}
		for path, n := range seen {
			if n != 1 {
				t.Fatalf("item %s is in %d shares", path, n)
			}
		}
	}
}

// The goal: the worker with most has at most 1.15 of the ideal, which is an equal part of all, or
// the largest image where that alone is more.
func TestSharesOfLongTailedSizesEndNearlyTogether(t *testing.T) {
	for _, n := range []int{40, 120, 1000, 4000} {
		for _, workers := range []int{2, 4, 16} {
			worst := 0.0
			for seed := range uint64(4) {
				items := longTailed(seed, n)
				ideal, longest := load(items)/int64(workers), int64(0)
				for _, i := range items {
					ideal = max(ideal, i.cost())
				}
				for w := range workers {
					longest = max(longest, load(Share(items, workers, w)))
				}
				worst = max(worst, float64(longest)/float64(ideal))
			}
			t.Logf("%d images, %d workers: %.3f of the ideal at worst", n, workers, worst)
			if worst > 1.15 {
				t.Errorf("%d images, %d workers: the last worker ends after %.3f of the ideal time", n, workers, worst)
			}
		}
	}
}

func TestEqualSizesAreDealtInTheListsOrder(t *testing.T) {
	items := []Item{{Path: "a", Size: 1}, {Path: "b", Size: 1}, {Path: "c", Size: 1}, {Path: "d", Size: 1}, {Path: "e", Size: 1}}
	got := [][]Item{Share(items, 2, 0), Share(items, 2, 1)}
	want := [][]Item{{items[0], items[2], items[4]}, {items[1], items[3]}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheExplanationOfAnEmptyListIsInNoShare(t *testing.T) {
	if got := Share([]Item{{Kind: Nothing, Message: "nothing to scan"}}, 1, 0); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
