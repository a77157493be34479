// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import "time"

// WaitForVolumes sets how long a volume may be silent, and returns what it was.
func WaitForVolumes(d time.Duration) time.Duration {
	before := volumePatience
	volumePatience = d
	return before
}
