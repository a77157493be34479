// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import "testing"

func TestTheNextValueToTryIsWrittenAsALimitIs(t *testing.T) {
	for limit, want := range map[int64]string{
		0: "", 1: ", for instance to 1Mi", 4 << 30: ", for instance to 8Gi", 50 << 20: ", for instance to 100Mi", 10_000_000: ", for instance to 20Mi",
	} {
		if got := Twice(limit); got != want {
			t.Errorf("after %d: %q, want %q", limit, got, want)
		}
	}
}
