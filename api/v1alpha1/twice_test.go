// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"testing"
	"time"
)

func TestTheNextTimeToTryIsWrittenAsASIFScanHasIt(t *testing.T) {
	for limit, want := range map[time.Duration]string{
		30 * time.Minute: "1h", 10 * time.Minute: "20m", time.Hour: "2h", 90 * time.Second: "3m", 45 * time.Minute: "1h30m", 20 * time.Second: "40s", time.Second / 4: "500ms",
	} {
		if got := TwiceAsLong(limit); got != "for instance to "+want {
			t.Errorf("after %s: %q, want %q", limit, got, want)
		}
	}
}
