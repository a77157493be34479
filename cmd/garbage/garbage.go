// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package garbage says how much garbage a process lets lie about before it collects it.
package garbage

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Least is how many bytes of garbage may lie about, however little is in use. GOGC is a share of what is in use: of the six MiB of
// a scanner that matches inventories again that is one image, of an operator's 15 eight SIFScans, and a seventh to a fifth of
// their CPU went into collecting.
const Least = 16 << 20

// Pace lets at least Least bytes lie about from the next collection on, and what GOGC says where that is more. Each collection
// sets it anew: what is in use and Least together are never passed, however fast a large image makes the heap grow.
func Pace() {
	share := debug.SetGCPercent(100)
	debug.SetGCPercent(share)
	if share < 0 { // GOGC=off
		return
	}
	watch(uint64(share))
}

// tick is garbage from the begin: its finalizer runs after each collection. Below 16 bytes it would share its place with others,
// and wait for them.
type tick struct{ share, _ uint64 }

func watch(share uint64) { runtime.SetFinalizer(&tick{share: share}, collected) }

func collected(t *tick) {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	debug.SetGCPercent(int(percent(sample[0].Value.Uint64(), t.share)))
	watch(t.share)
}

// percent is the GOGC that lets share percent of the bytes in use lie about, and at least Least.
func percent(inUse, share uint64) uint64 { return max(share, Least*100/max(inUse, 1<<20)) }
