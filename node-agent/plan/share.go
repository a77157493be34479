// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
)

// fixedCost is what an item costs whatever its size, in bytes of an image that are read meanwhile:
// its report and its documents are two writes to the API, of which a reporter makes five a second.
const fixedCost = 32 << 20

// cost of an item, in bytes. Sizes come from a file system that lies where it wants: a sparse
// file may claim 2^63 bytes, and a sum of such must not turn negative.
func (i Item) cost() int64 {
	const most = 1 << 42 // 4 TiB; a million of them still fit
	return fixedCost + min(max(i.Size, 0), most)
}

// Share returns the items that one of several workers scans, in the order of the list: a pure
// function of its arguments. Every item but Nothing is in exactly one share.
//
// Longest processing time first (Graham 1969): the largest items are dealt first, each to the
// worker that has least, and the first of those. The last worker then ends at most a third after
// the earliest end possible, with long-tailed sizes a few per cent.
func Share(items []Item, workers, index int) []Item {
	order := make([]int, 0, len(items))
	for at := range items {
		if items[at].Kind != Nothing {
			order = append(order, at)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(items[b].cost(), items[a].cost()) })

	loads := make([]int64, workers)
	var mine []int
	for _, at := range order {
		least := 0
		for w := range loads {
			if loads[w] < loads[least] {
				least = w
			}
		}
		loads[least] += items[at].cost()
		if least == index {
			mine = append(mine, at)
		}
	}
	slices.Sort(mine)
	share := make([]Item, len(mine))
	for n, at := range mine {
		share[n] = items[at]
	}
	return share
}
