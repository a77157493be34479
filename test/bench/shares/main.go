// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Command shares prints how nearly together the workers of a run end whose images have long-tailed sizes: if each takes time
// in proportion to the bytes it is given, and by what four of them took over real SIFs. Run it by 'make bench'.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sifscan/sifscan-operator/node-agent/plan"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// volumes is how many volumes each line is the worst of.
const volumes = 20

func main() {
	ctrl.SetLogger(logr.Discard())
	agent := flag.String("agent", filepath.Join("bin", "node-agent"), "the agent's program")
	images := flag.Int("images", 100, "SIFs on each volume of real work")
	flag.Parse()
	err := assigned()
	if err == nil {
		err = measure(context.Background(), *agent, *images)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shares:", err)
		os.Exit(1)
	}
}

// assigned prints the rows that are reckoned from sizes.
func assigned() error {
	t := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "\nThe last of several workers against the ideal, worst of %d volumes (goal: 1.15)\n\n", volumes)
	fmt.Fprintln(t, "images\tworkers\tmakespan\tlargest image\ttime to share")
	for _, images := range []int{40, 1000, 10_000, 100_000} {
		for _, workers := range []int{4, 16} {
			worst, largest, took := 0.0, int64(0), time.Duration(0)
			for seed := range uint64(volumes) {
				items := listOf(seed, images)
				start := time.Now()
				ratio := makespan(items, workers)
				took = max(took, time.Since(start)/time.Duration(workers))
				worst = max(worst, ratio)
				for _, i := range items {
					largest = max(largest, i.Size)
				}
			}
			fmt.Fprintf(t, "%d\t%d\t%.3f\t%.0f GB\t%s\n", images, workers, worst, float64(largest)/1e9, took.Round(100*time.Microsecond))
		}
	}
	return t.Flush()
}

// listOf is a list with the sizes of a shared volume.
func listOf(seed uint64, images int) []plan.Item {
	items := make([]plan.Item, images)
	for i, size := range fixtures.ImageSizes(rand.New(rand.NewPCG(seed, 1)), images) {
		items[i] = plan.Item{Kind: plan.Image, Path: fmt.Sprintf("projects/%d.sif", i), Size: size}
	}
	return items
}

// makespan is what the worker with most has, against an equal part of all, or the largest image
// where that alone is more. Sizes only: what an image costs besides makes shares more equal.
func makespan(items []plan.Item, workers int) float64 {
	var all, ideal, longest float64
	for _, i := range items {
		all += float64(i.Size)
		ideal = max(ideal, float64(i.Size))
	}
	for w := range workers {
		var load float64
		for _, i := range plan.Share(items, workers, w) {
			load += float64(i.Size)
		}
		longest = max(longest, load)
	}
	return longest / max(ideal, all/float64(workers))
}
