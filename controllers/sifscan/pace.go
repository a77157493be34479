// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import "strconv"

// Pace limits what one scan asks of each volume, all its workers together. 0: any number.
type Pace struct {
	// RequestsPerSecond for a file, its attributes, or some hundred entries of a directory.
	RequestsPerSecond float64
	// MiBPerSecond that are read.
	MiBPerSecond float64
}

// pace holds each worker to its part of the pace.
func (in JobInputs) pace() (p part) {
	s := resolve(&in.Scan.Spec)
	if len(s.claims()) == 0 {
		return part{}
	}
	for _, limit := range []struct {
		flag string
		all  float64
	}{{"--requests-per-second=", in.Config.Pace.RequestsPerSecond}, {"--mib-per-second=", in.Config.Pace.MiBPerSecond}} {
		if limit.all > 0 {
			p.args = append(p.args, limit.flag+strconv.FormatFloat(limit.all/float64(max(in.Workers, 1)), 'f', -1, 64))
		}
	}
	return p
}
