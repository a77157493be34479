// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// desk is a set of slots whose wakes are noted.
type desk struct {
	*slots
	t     *testing.T
	woken []string
}

func newDesk(t *testing.T, limits Slots) *desk {
	d := &desk{slots: newSlots(limits), t: t}
	d.wakeWith(func(scan types.NamespacedName) { d.woken = append(d.woken, scan.String()) })
	return d
}

// name reads "namespace/name".
func name(text string) types.NamespacedName {
	namespace, name, _ := strings.Cut(text, "/")
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// asks lets a scan ask for a slot, at a time in minutes, for its claims.
func (d *desk) asks(scan string, minute int, claims ...string) string {
	waits, ok := d.take(load{scan: name(scan), volumes: claims}, epoch.Add(time.Duration(minute)*time.Minute))
	if ok != (waits == "") {
		d.t.Errorf("%s: ok %v and waits for %q", scan, ok, waits)
	}
	return waits
}

func (d *desk) gets(scan string, minute int, claims ...string) {
	d.t.Helper()
	if waits := d.asks(scan, minute, claims...); waits != "" {
		d.t.Errorf("%s waits: %s", scan, waits)
	}
}

func (d *desk) waits(scan string, minute int, text string, claims ...string) {
	d.t.Helper()
	if waits := d.asks(scan, minute, claims...); !strings.Contains(waits, text) {
		d.t.Errorf("%s waits for %q, want %q", scan, waits, text)
	}
}

// ends releases scans and checks who is woken, in order.
func (d *desk) ends(scan string, woken ...string) {
	d.t.Helper()
	d.woken = nil
	d.release(name(scan))
	if !slices.Equal(d.woken, woken) {
		d.t.Errorf("the end of %s wakes %q, want %q", scan, d.woken, woken)
	}
}

func TestEachSlotIsNamedThatIsWaitedFor(t *testing.T) {
	d := newDesk(t, Slots{Total: 4, PerNamespace: 3, PerVolume: 2})
	d.gets("a/1", 0, "shared")
	d.gets("a/2", 0, "shared")
	d.waits("a/3", 1, "2 of 2 scans of claim shared in Namespace a are at work (--max-scans-per-volume)", "other", "shared")
	d.gets("a/4", 2, "other")
	d.waits("a/5", 3, "3 of 3 scans of Namespace a are at work (--max-scans-per-namespace)", "third")
	d.gets("b/1", 4, "shared") // another namespace's claim of the same name is another
	d.waits("c/1", 5, "4 of 4 scans of the operator are at work (--max-scans)")
}

func TestNoLimitIsNoLimit(t *testing.T) {
	d := newDesk(t, Slots{})
	for i := range 1000 {
		d.gets(fmt.Sprintf("a/%d", i), 0, "shared")
	}
}

func TestAScanAsksTwiceAndTakesOneSlot(t *testing.T) {
	d := newDesk(t, Slots{Total: 1})
	d.gets("a/1", 0)
	d.gets("a/1", 0)
	d.waits("a/2", 1, "1 of 1")
	d.waits("a/2", 2, "1 of 1")
	d.ends("a/1", "a/2")
	d.ends("a/2")
	d.gets("a/3", 3)
}

func TestTheLongestWaitingIsNextAndNobodyPassesIt(t *testing.T) {
	d := newDesk(t, Slots{Total: 1})
	d.gets("a/1", 0)
	d.waits("a/late", 9, "1 of 1")
	d.waits("a/early", 3, "1 of 1")
	d.waits("a/same-2", 5, "1 of 1")
	d.waits("a/same-1", 5, "1 of 1")
	d.ends("a/1", "a/early")
	d.waits("a/new", 10, "1 of 1") // a/early was woken: the slot is its own, though it has not come yet
	d.gets("a/early", 3)
	d.ends("a/early", "a/same-1")
	d.ends("a/same-1", "a/same-2")
	d.ends("a/same-2", "a/late")
}

func TestNamespacesTakeTurns(t *testing.T) {
	d := newDesk(t, Slots{Total: 1})
	d.gets("a/0", 0)
	for i := range 3 {
		d.waits(fmt.Sprintf("a/%d", i+1), 1+i, "1 of 1")
	}
	for i := range 2 {
		d.waits(fmt.Sprintf("b/%d", i+1), 10+i, "1 of 1")
	}
	d.waits("c/1", 20, "1 of 1")
	var order []string
	for at := "a/0"; at != ""; {
		d.woken = nil
		d.release(name(at))
		if at = ""; len(d.woken) > 0 {
			at = d.woken[0]
			order = append(order, at)
		}
	}
	if want := []string{"b/1", "c/1", "a/1", "b/2", "a/2", "a/3"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}

func TestAFullVolumeHoldsNobodyElseUp(t *testing.T) {
	d := newDesk(t, Slots{Total: 3, PerVolume: 1})
	d.gets("a/1", 0, "busy")
	d.waits("a/2", 1, "claim busy", "busy")
	d.waits("a/3", 2, "claim busy", "busy", "free")
	d.gets("a/4", 3, "free")
	d.ends("a/4")
	d.ends("a/1", "a/2")
}

func TestWhoLeavesTheLineIsNotWoken(t *testing.T) {
	d := newDesk(t, Slots{Total: 1})
	d.gets("a/1", 0)
	d.waits("a/2", 1, "1 of 1")
	d.waits("a/3", 2, "1 of 1")
	d.ends("a/2") // suspended, or deleted
	d.ends("a/1", "a/3")
	d.ends("a/3")
	if _, has := d.of(name("a/2")); has || len(d.lines)+len(d.served)+len(d.namespaces)+len(d.volumes)+len(d.waiting) > 0 {
		t.Errorf("something is left of scans that are gone: %+v", d.slots)
	}
}

func TestWhoWasWokenAndDoesNotNeedItsSlotPassesItOn(t *testing.T) {
	d := newDesk(t, Slots{Total: 1})
	d.gets("a/1", 0)
	d.waits("a/2", 1, "1 of 1")
	d.waits("a/3", 2, "1 of 1")
	d.ends("a/1", "a/2")
	d.ends("a/2", "a/3")
}

func TestScansAtWorkCountWhateverTheLimit(t *testing.T) {
	d := newDesk(t, Slots{Total: 1})
	for _, scan := range []string{"a/1", "a/2", "a/2"} { // what an operator with other limits began
		d.hold(load{scan: name(scan)})
	}
	d.waits("a/3", 0, "1 of 1")
	d.ends("a/1")
	d.ends("a/2", "a/3")
}

func TestAScanThatGivesItsSlotUpQueuesAgainBehindTheOthers(t *testing.T) {
	d := newDesk(t, Slots{Total: 1})
	d.gets("a/stuck", 0)
	if d.yield(name("a/stuck"), "job-1") {
		t.Error("it gave its slot up though nobody waits")
	}
	d.waits("a/2", 1, "1 of 1")
	if !d.yield(name("a/stuck"), "job-1") || !slices.Equal(d.woken, []string{"a/2"}) {
		t.Errorf("it kept its slot, or woke %q", d.woken)
	}
	if !d.gaveUp(name("a/stuck"), "job-1") || d.gaveUp(name("a/stuck"), "job-2") || d.gaveUp(name("a/2"), "") {
		t.Error("the Job that it gave up is mistaken")
	}
	d.gone(name("a/other"))
	d.waits("a/stuck", 16, "1 of 1")
	d.ends("a/2", "a/stuck")
	if d.gaveUp(name("a/stuck"), "job-1") {
		t.Error("its next Job would be mistaken for the one that it gave up")
	}
	d.waits("a/4", 17, "1 of 1")
	d.yield(name("a/stuck"), "job-2")
	d.gone(name("a/stuck"))
	if len(d.yielded) > 0 {
		t.Error("something is remembered of a scan that is deleted")
	}
}

// What a turn costs must not grow with the length of the lines: each of n scans has one turn.
func BenchmarkTurns(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				s := newSlots(Slots{Total: 10, PerNamespace: 4, PerVolume: 2})
				var woken []types.NamespacedName
				s.wakeWith(func(scan types.NamespacedName) { woken = append(woken, scan) })
				for i := range n {
					scan := types.NamespacedName{Namespace: fmt.Sprintf("ns-%d", i%20), Name: fmt.Sprintf("scan-%d", i)}
					if _, ok := s.take(load{scan: scan, volumes: []string{fmt.Sprintf("claim-%d", i%7)}}, epoch.Add(time.Duration(i)*time.Second)); ok {
						woken = append(woken, scan)
					}
				}
				for len(woken) > 0 {
					scan := woken[0]
					woken = woken[1:]
					s.release(scan)
				}
				if len(s.waiting) > 0 {
					b.Fatalf("%d scans never had their turn", len(s.waiting))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/scan")
		})
	}
}
