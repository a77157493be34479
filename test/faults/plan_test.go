// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const long, short = 200, 12

func TestAPlanIsThatOfItsSeed(t *testing.T) {
	if diff := cmp.Diff(New(7, long), New(7, long)); diff != "" {
		t.Errorf("one seed gives two plans: %s", diff)
	}
	if cmp.Equal(New(7, long).Scans, New(8, long).Scans) {
		t.Error("two seeds give one plan")
	}
}

// eachPlan runs a check on plans of many seeds.
func eachPlan(t *testing.T, check func(t *testing.T, p Plan, scans int)) {
	for _, scans := range []int{short, Whole, long} {
		for seed := range uint64(50) {
			t.Run(fmt.Sprintf("%d scans, seed %d", scans, seed), func(t *testing.T) { check(t, New(seed, scans), scans) })
		}
	}
}

func TestAPlanHasItsScansAndFaults(t *testing.T) {
	eachPlan(t, func(t *testing.T, p Plan, scans int) {
		if len(p.Scans) != scans {
			t.Errorf("%d scans, want %d", len(p.Scans), scans)
		}
		count := p.Count()
		for _, kind := range Kinds {
			n := count[kind]
			delete(count, kind)
			switch {
			case scans < Whole && (kind == FillDisk || kind == KillKubelet || kind == KillContainerd || kind == KillEtcd):
				if n != 0 {
					t.Errorf("%s: %d times in a short plan", kind, n)
				}
			case kind == KillKubelet || kind == KillContainerd || kind == KillEtcd:
				if n != 1 {
					t.Errorf("%s: %d times, want once", kind, n)
				}
			case n == 0 && scans >= Whole:
				t.Errorf("%s: never", kind)
			}
		}
		if len(count) > 0 {
			t.Errorf("kinds that no table lists: %v", count)
		}
	})
}

func TestNoScanIsPlannedToFail(t *testing.T) {
	eachPlan(t, func(t *testing.T, p Plan, _ int) {
		for i, s := range p.Scans {
			deadly, ofAll := 0, 0
			for _, f := range s.Faults {
				if f.Kind.deadly() {
					deadly++
				}
				if f.Kind.OfCluster() {
					ofAll++
				}
				if f.Kind == RemoveClaim && !s.Doomed {
					t.Errorf("scan %d loses its claim and is to end well", i)
				}
				if f.Kind != RemoveClaim && s.Doomed {
					t.Errorf("doomed scan %d has another fault: %s", i, f.Kind)
				}
			}
			if deadly > 1 || ofAll > 1 {
				t.Errorf("scan %d: %v", i, s.Faults)
			}
		}
	})
}

func TestAPlanHasScansOfEveryKind(t *testing.T) {
	eachPlan(t, func(t *testing.T, p Plan, scans int) {
		kinds := map[string]int{}
		for _, s := range p.Scans {
			for kind, is := range map[string]bool{
				"doomed": s.Doomed, "scheduled": s.Scheduled, "executed": s.Executed, "of what runs": s.Live, "archived": s.Archived,
				"with another database": s.Database != 0, "with images replaced": len(s.Replaced) > 0, "with images touched": len(s.Touched) > 0,
				"when changed": s.WhenChanged, "always": !s.WhenChanged && !s.Doomed,
				"long: with four workers": scans == long && s.Workers == 4, "long: that only lists": scans == long && s.Listed,
			} {
				kinds[kind] += 0
				if is {
					kinds[kind]++
				}
			}
			for _, f := range s.Faults {
				if (f.Reading || f.Kind == KillOpener || f.Kind == StopOpener) && !s.Live || f.Reading && s.Listed {
					t.Errorf("%+v has a fault of a node scan's pod that it has not: %+v", s, f)
				}
			}
		}
		for kind, n := range kinds {
			if seldom := kind == "always" || kind == "with images touched" || kind == "with images replaced"; n == 0 && (scans == long || !seldom && kind[:4] != "long") {
				t.Errorf("no scan %s", kind)
			}
		}
	})
}

func TestAnOperatorIsStoppedForLongAndForShort(t *testing.T) {
	var short, long int
	for seed := range uint64(20) {
		for _, s := range New(seed, Whole).Scans {
			for _, f := range s.Faults {
				switch {
				case f.Kind != StopOperator:
				case f.For >= Takeover:
					long++
				case f.For >= 15*time.Second:
					t.Errorf("stopped for %s: nobody knows who is at work then", f.For)
				default:
					short++
				}
			}
		}
	}
	if short == 0 || long == 0 {
		t.Errorf("%d times for short, %d times for long", short, long)
	}
}

func TestAVolumeIsReadInOneLaneOnly(t *testing.T) {
	eachPlan(t, func(t *testing.T, p Plan, scans int) {
		lanes, used := map[int]int{}, map[int]int{}
		for i, s := range p.Scans {
			if lane, ok := lanes[s.Site]; ok && lane != s.Lane {
				t.Errorf("scan %d: site %d is in lanes %d and %d", i, s.Site, lane, s.Lane)
			}
			lanes[s.Site] = s.Lane
			used[s.Lane]++
			if s.Site < 0 || s.Site >= p.Sites || s.Lane < 0 || s.Lane >= p.Lanes {
				t.Errorf("scan %d: site %d of %d, lane %d of %d", i, s.Site, p.Sites, s.Lane, p.Lanes)
			}
			if s.Workers < 1 || s.Workers > 4 || s.Workers > 1 && (s.Doomed || s.Executed || s.Scheduled || s.Live) {
				t.Errorf("scan %d: %d workers", i, s.Workers)
			}
		}
		if len(lanes) != p.Sites || len(used) != p.Lanes {
			t.Errorf("%d of %d sites, %d of %d lanes are used", len(lanes), p.Sites, len(used), p.Lanes)
		}
		n := 0
		for lane := range p.Lanes {
			n += len(p.Lane(lane))
		}
		if n != scans {
			t.Errorf("the lanes have %d scans of %d", n, scans)
		}
	})
}
