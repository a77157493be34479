// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"
	"time"
)

func TestTheNextValueToTryIsWrittenAsALimitIs(t *testing.T) {
	for limit, want := range map[int64]string{
		0: "", 1: ", for instance to 1Mi", 4 << 30: ", for instance to 8Gi", 50 << 20: ", for instance to 100Mi", 10_000_000: ", for instance to 20Mi",
	} {
		if got := Twice(limit); got != want {
			t.Errorf("after %d: %q, want %q", limit, got, want)
		}
	}
	for limit, want := range map[time.Duration]string{
		30 * time.Minute: "1h", 10 * time.Minute: "20m", time.Hour: "2h", 90 * time.Second: "3m", 45 * time.Minute: "1h30m", 20 * time.Second: "40s", time.Second / 4: "500ms",
	} {
		if got := TwiceAsLong(limit); got != ", for instance to "+want {
			t.Errorf("after %s: %q, want %q", limit, got, want)
		}
	}
}
