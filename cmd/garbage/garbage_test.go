// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package garbage

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestWhatMayLieAboutIsAShareOfWhatIsInUseAndNeverLessThanTheLeast(t *testing.T) {
	for inUse, want := range map[uint64]uint64{0: 1600, 1 << 20: 1600, 4 << 20: 400, 16 << 20: 100, 1 << 30: 100} {
		if got := percent(inUse, 100); got != want {
			t.Errorf("%d bytes in use: %d %%, want %d", inUse, got, want)
		}
	}
	if got := percent(16<<20, 300); got != 300 {
		t.Errorf("GOGC=300 becomes %d", got)
	}
}

func TestEachCollectionSaysWhenTheNextIs(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	Pace()
	now := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	until := func(ok func(percent int) bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(now()); runtime.GC() {
			if time.Now().After(deadline) {
				t.Fatalf("GOGC is %d", now())
			}
		}
	}
	until(func(p int) bool { return p > 200 })
	used := make([]byte, 2*Least)
	until(func(p int) bool { return p == 100 })
	runtime.KeepAlive(used)
	used = nil
	until(func(p int) bool { return p > 200 })
	_ = used
}
