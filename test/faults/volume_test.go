// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAVolumeHoldsItsContents(t *testing.T) {
	var got []int
	for i := range Images {
		got = append(got, FirstContent(i))
	}
	if diff := cmp.Diff([]int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatAScanDoesWithAVolume(t *testing.T) {
	all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	var v Volume
	for _, c := range []struct {
		name string
		scan Scan
		want Expected
	}{
		{"the first opens all", Scan{WhenChanged: true}, Expected{Opened: all}},
		{"the second opens none", Scan{WhenChanged: true}, Expected{Unchanged: all}},
		{"one that asks for it opens all", Scan{}, Expected{Opened: all}},
		{"what changed is opened", Scan{WhenChanged: true, Replaced: []int{0, 11}, Touched: []int{5}},
			Expected{Opened: []int{0, 5, 11}, Unchanged: []int{1, 2, 3, 4, 6, 7, 8, 9, 10}}},
		{"another database is matched again, but for what changed", Scan{WhenChanged: true, Database: 1, Touched: all[2:]},
			Expected{Opened: all[2:], Again: []int{0, 1}}},
		{"the same database is none again", Scan{WhenChanged: true, Database: 1}, Expected{Unchanged: all}},
	} {
		if diff := cmp.Diff(c.want, v.Next(c.scan)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	if v.Content(0) != 1 || v.Content(1) != 0 || v.Content(11) != 0 || v.Database(3) != 1 {
		t.Errorf("contents %d, %d and %d, database %d", v.Content(0), v.Content(1), v.Content(11), v.Database(3))
	}
	if !v.Again(1) || v.Again(2) {
		t.Error("the second image was matched again, the third was opened")
	}
}
