// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"slices"
	"testing"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestTheScansOfAVolumeKeepItsPaceTogether(t *testing.T) {
	volume := v1alpha1.Target{Volume: &v1alpha1.VolumeTarget{ClaimName: "shared"}}
	for name, c := range map[string]struct {
		target  v1alpha1.Target
		pace    Pace
		slots   int
		workers int32
		want    []string
	}{
		"no limit":                               {volume, Pace{}, 2, 4, nil},
		"one scan at a time":                     {volume, Pace{RequestsPerSecond: 1000}, 1, 1, []string{"--requests-per-second=1000"}},
		"each of four has a fourth":              {volume, Pace{1000, 50}, 4, 1, []string{"--requests-per-second=250", "--mib-per-second=12.5"}},
		"its workers are told all of the scan's": {volume, Pace{1000, 50}, 2, 4, []string{"--requests-per-second=500", "--mib-per-second=25"}},
		"any number of scans":                    {volume, Pace{RequestsPerSecond: 1000}, 0, 1, []string{"--requests-per-second=1000"}},
		"an image of a registry is no volume":    {v1alpha1.Target{Image: &v1alpha1.ImageTarget{Reference: "a/b:c"}}, Pace{1000, 50}, 1, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := JobInputs{Scan: &v1alpha1.SIFScan{Spec: v1alpha1.SIFScanSpec{Target: c.target}}, Workers: c.workers, Config: OperatorConfig{Pace: c.pace, Slots: Slots{PerVolume: c.slots}}}
			if got := in.pace().args; !slices.Equal(got, c.want) {
				t.Errorf("the scanner is told %q, want %q", got, c.want)
			}
		})
	}
}
