// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import "strconv"

// Pace limits what all scans together ask of each volume. 0: any number.
type Pace struct {
	// RequestsPerSecond for a name, a file's attributes, or some hundred entries of a directory.
	RequestsPerSecond float64
	// MiBPerSecond that are read.
	MiBPerSecond float64
}

// pace gives the scan the part of the pace that is left to it when as many scans are at work on the volume as there
// are slots: a Job cannot be told later that it is no longer alone. Its workers share that among them.
func (in JobInputs) pace() (p part) {
	s := resolve(&in.Scan.Spec)
	if len(s.claims()) == 0 {
		return part{}
	}
	scans := float64(max(in.Config.Slots.PerVolume, 1))
	for _, limit := range []struct {
		flag string
		all  float64
	}{{"--requests-per-second=", in.Config.Pace.RequestsPerSecond}, {"--mib-per-second=", in.Config.Pace.MiBPerSecond}} {
		if limit.all > 0 {
			p.args = append(p.args, limit.flag+strconv.FormatFloat(limit.all/scans, 'f', -1, 64))
		}
	}
	return p
}
