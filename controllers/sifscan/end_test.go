// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestTimeToLive(t *testing.T) {
	for _, tc := range []struct {
		name string
		ttl  *time.Duration
		age  time.Duration
		want time.Duration
	}{
		{"a day by default", nil, time.Hour, 23 * time.Hour},
		{"what is asked for", new(10 * time.Minute), time.Minute, 9 * time.Minute},
		{"none", new(time.Duration(0)), 0, 0},
		{"over", new(time.Minute), time.Hour, -59 * time.Minute},
		{"a completion that is ahead of our clock", new(time.Minute), -time.Second, 61 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec := v1alpha1.SIFScanSpec{}
			if tc.ttl != nil {
				spec.TTLAfterFinished = duration(*tc.ttl)
			}
			if got := timeToLive(&spec, epoch, epoch.Add(tc.age)); got != tc.want {
				t.Errorf("timeToLive = %v, want %v", got, tc.want)
			}
		})
	}
}
