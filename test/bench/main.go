// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench compares the agent with its peers, side by side on this machine, and prints
// the table of docs/performance.md. Run it by 'make bench'.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

func main() {
	pairs := flag.Int("pairs", 3, "counted pairs of runs for each row")
	agent := flag.String("agent", "bin/node-agent", "the agent's program")
	only := flag.String("only", "", "run only rows whose name contains this")
	flag.Parse()
	if err := run(*agent, *pairs, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(agent string, pairs int, only string) error {
	agent, err := filepath.Abs(agent)
	if err != nil {
		return err
	}
	in, err := makeInputs(agent)
	if err != nil {
		return err
	}
	work, err := newWorkplace()
	if err != nil {
		return err
	}
	defer work.remove()
	b := &bench{agent, in, work}
	rows, err := b.run(pairs, only)
	fmt.Printf("\nInput: %s, %.1f GB in %d inodes, gzip. Medians of %d pairs, ours divided by the peer's; peak is ours.\n\n",
		filepath.Base(in.image), float64(in.bytes)/1e9, in.inodes, pairs)
	t := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ours\tpeer\tCPU\twall\tpeak MiB\tgoal")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%.2f\t%d\t%s\n", r.ours.name, r.peer.name, r.cpu, r.wall, r.peak>>20, r.goal)
	}
	if err = errors.Join(err, t.Flush()); err != nil || !strings.Contains(sizesName, only) {
		return err
	}
	took, inodes, err := sizes(in.image, 10*pairs)
	if err == nil {
		fmt.Println("\n" + sizesLine(took, inodes))
	}
	return err
}
