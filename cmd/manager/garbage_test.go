// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
)

func TestGarbageMayLieAboutWhileLittleIsInUse(t *testing.T) {
	for _, c := range []struct {
		name                string
		inUse, share, wants uint64
	}{
		{"before the first collection the share stands", 0, 30, 30},
		{"of 8 MiB, twice as much", 8 << 20, 30, 200},
		{"of next to nothing, not without bound", 1 << 10, 30, 1000},
		{"of 80 MiB the share is more", 80 << 20, 30, 30},
		{"a share that somebody set higher stands", 20 << 20, 150, 150},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := garbageShare(c.inUse, c.share); got != c.wants {
				t.Errorf("garbageShare(%d, %d) = %d, want %d", c.inUse, c.share, got, c.wants)
			}
		})
	}
}

func TestTheShareFollowsWhatIsInUse(t *testing.T) {
	before := readMetric("/gc/gogc:percent")
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		go paceGarbage(t.Context())
		synctest.Wait()
	})
	after := readMetric("/gc/gogc:percent")
	debug.SetGCPercent(int(before))
	if want := garbageShare(readMetric("/gc/heap/live:bytes"), before); after < want/2 || after <= before {
		t.Errorf("GOGC is %d with %d bytes in use, want about %d", after, readMetric("/gc/heap/live:bytes"), want)
	}
}
