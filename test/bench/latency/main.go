// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Command latency measures, on the real cluster that KUBECONFIG names, how long it takes from kubectl
// apply of a SIFScan to the report of its one small image, and how much of that the agent takes alone
// (hack/latency.sh).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	ctrl.SetLogger(logr.Discard())
	agent := flag.String("agent", filepath.Join("bin", "node-agent"), "the agent's program")
	kubectl := flag.String("kubectl", filepath.Join("bin", "kubectl"), "kubectl")
	runs := flag.Int("runs", 9, "SIFScans that count, each of an image of its own, after one that does not")
	flag.Parse()
	if err := run(context.Background(), *agent, *kubectl, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, agent, kubectl string, runs int) (err error) {
	s, err := newSite(ctx, runs+1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.remove(ctx)) }()
	times := map[step][]time.Duration{}
	var alone []time.Duration
	for i := range runs + 1 {
		passed, err := s.apply(ctx, kubectl, i)
		if err != nil {
			return err
		}
		bare, err := scanAlone(ctx, agent, s.image(i))
		if err != nil {
			return err
		}
		if i == 0 {
			continue // the first of a namespace makes the reporter's account
		}
		alone = append(alone, bare)
		for step, at := range passed {
			times[step] = append(times[step], at)
		}
	}
	show(runs, times, median(alone))
	return nil
}

// scanAlone is how long the agent takes for the image without a cluster.
func scanAlone(ctx context.Context, agent, image string) (time.Duration, error) {
	out, err := os.MkdirTemp("", "sifscan-bench-alone-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(out)
	begin := time.Now()
	if text, err := exec.CommandContext(ctx, agent, "scan", "--output-dir="+out, image).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("scan %s: %w\n%s", image, err, text)
	}
	return time.Since(begin), nil
}

// show writes the table: medians of when each step was seen.
func show(runs int, times map[step][]time.Duration, alone time.Duration) {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
	fmt.Printf("| after kubectl apply, median of %d | seen | slowest |\n|---|---|---|\n", runs)
	for _, step := range steps {
		fmt.Printf("| %s | %s | %s |\n", step, seconds(median(times[step])), seconds(slices.Max(times[step])))
	}
	fmt.Printf("\nThe agent alone: %s. Less that: report after %s, Complete after %s (goal: report after 5 s).\n",
		seconds(alone), seconds(median(times[reported])-alone), seconds(median(times[complete])-alone))
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
