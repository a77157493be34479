// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"strings"
	"sync"
	"text/tabwriter"
)

// Tally counts what became of the planned faults. The zero value counts none; many may count at once.
type Tally struct {
	mu           sync.Mutex
	struck, late map[Kind]int
}

// Struck counts a fault that happened.
func (t *Tally) Struck(kind Kind) { t.count(&t.struck, kind) }

// Late counts a fault that found nothing left to strike.
func (t *Tally) Late(kind Kind) { t.count(&t.late, kind) }

func (t *Tally) count(in *map[Kind]int, kind Kind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if *in == nil {
		*in = map[Kind]int{}
	}
	(*in)[kind]++
}

// Total is how many happened.
func (t *Tally) Total() (struck, late int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, kind := range Kinds {
		struck += t.struck[kind]
		late += t.late[kind]
	}
	return struck, late
}

// Table shows the plan against what happened.
func (t *Tally) Table(p Plan) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "fault\tplanned\tstruck\ttoo late\t")
	planned := p.Count()
	for _, kind := range Kinds {
		if planned[kind] > 0 {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t\n", kind, planned[kind], t.struck[kind], t.late[kind])
		}
	}
	_ = w.Flush() // a strings.Builder takes everything
	return fmt.Sprintf("seed %d, %d scans in %d lanes on %d volumes\n%s", p.Seed, len(p.Scans), p.Lanes, p.Sites, text.String())
}
