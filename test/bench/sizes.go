// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
)

const (
	sizesName = "sizes known before extraction"
	sizesGoal = "≤ 50 ms for 90,000 inodes"
	// perInodes is what the goal counts in; the time grows with the number of inodes.
	perInodes = 90_000
)

// sizes returns the median time from opening the image until all sizes are known. It runs in this process: the start of
// another one takes as long.
func sizes(image string, runs int) (took time.Duration, inodes int64, err error) {
	var all []time.Duration
	for i := range runs + 1 {
		start := time.Now()
		if inodes, err = measureOnce(image); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", sizesName, err)
		}
		if i > 0 { // the first one warms the page cache
			all = append(all, time.Since(start))
		}
	}
	slices.Sort(all)
	return all[len(all)/2], inodes, nil
}

func measureOnce(image string) (int64, error) {
	f, err := os.Open(image)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	img, err := rootfs.OpenFile(f)
	if err != nil {
		return 0, err
	}
	defer img.Close()
	s, err := img.Sizes(context.Background())
	return s.Inodes(), err
}

// sizesLine says it as docs/performance.md does.
func sizesLine(took time.Duration, inodes int64) string {
	scaled := time.Duration(float64(took) * perInodes / float64(inodes))
	return fmt.Sprintf("%s: %.0f ms for %d inodes, that is %.0f ms for %d (goal: %s)",
		sizesName, took.Seconds()*1e3, inodes, scaled.Seconds()*1e3, perInodes, sizesGoal)
}
