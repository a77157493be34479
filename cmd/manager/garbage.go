// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// leastGarbage may lie about before it is collected, in bytes, however little is in use.
	leastGarbage = 16 << 20
	// garbageLook is how often what is in use is looked at. Reading it takes microseconds.
	garbageLook = 5 * time.Second
)

// paceGarbage lets at least leastGarbage lie about, until ctx ends. GOGC is a share of what is in use, right for
// caches of many SIFScans; of 15 MiB it leaves 5, which eight SIFScans fill, and a fifth of the
// operator's CPU went into collecting that.
func paceGarbage(ctx context.Context) {
	look := time.NewTicker(garbageLook)
	defer look.Stop()
	share := readMetric("/gc/gogc:percent")
	for now := share; ; {
		if want := garbageShare(readMetric("/gc/heap/live:bytes"), share); want > now+now/10 || want < now-now/10 {
			debug.SetGCPercent(int(want))
			now = want
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// garbageShare is the GOGC that lets share percent of the bytes in use lie about, and at least leastGarbage.
func garbageShare(inUse, share uint64) uint64 {
	if inUse == 0 { // nothing was collected yet
		return share
	}
	return max(share, min(leastGarbage*100/inUse, 1000))
}

func readMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
