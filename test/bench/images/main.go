// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Command images measures scanner and reporter, each as its own process, over a volume with
// thousands of SIFs and against a real API server: what the first scan writes, and what the next
// one costs when nothing has changed, or only the database.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sifscan/sifscan-operator/test/opens"
)

func main() {
	ctrl.SetLogger(logr.Discard())
	agent := flag.String("agent", filepath.Join("bin", "node-agent"), "the agent's program")
	n := flag.Int("images", 10_000, "SIFs on the volume, of 300 packages each")
	profiles := flag.String("profiles", "", "directory for a CPU profile of each run's reporter; empty: none")
	as := flag.String("reporter", "", "")
	flag.Parse()
	run := func() error { return bench(context.Background(), *agent, *profiles, *n) }
	if *as != "" {
		run = func() error { return beReporter(*as) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// bench prints the rows of the table.
func bench(ctx context.Context, agent, profiles string, images int) (err error) {
	agent, err = filepath.Abs(agent)
	if err != nil {
		return err
	}
	s, err := startServer(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	b := &volume{ctx: ctx, agent: agent, dir: s.Dir, server: s, profiles: profiles}
	if err := b.make(images); err != nil {
		return err
	}
	fmt.Println("| SIFs | scan | API reads | API writes | etcd | SIFs opened | CPU of scanner + reporter | time |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, run := range []struct {
		name   string
		before func() error
	}{
		{"first", func() error { return b.database(0) }},
		{"second, nothing changed", func() error { return nil }},
		{"documents on a volume from now on", b.keepOnVolume},
		{"only the database changed, every finding is another", func() error { return b.database(1) }},
		{"only the database changed, no finding is another", func() error { return b.database(1, "no-package-of-these") }},
	} {
		if err := run.before(); err != nil {
			return err
		}
		if err := b.scan(images, run.name); err != nil {
			return err
		}
	}
	return nil
}

// scan scans a volume and prints a row.
func (b *volume) scan(images int, run string) error {
	before, err := b.server.etcd()
	if err != nil {
		return err
	}
	opened, err := opens.Watch(filepath.Join(b.dir, claim))
	if err != nil {
		return err
	}
	spent, err := b.pod()
	files, opensErr := opened.Stop()
	if err := errors.Join(err, opensErr); err != nil {
		return err
	}
	after, err := b.server.etcd()
	if err != nil {
		return err
	}
	each := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(images) }
	fmt.Printf("| %d | %s | %d | %d (%.2f a SIF) | %.1f KiB a SIF | %d | %.1f s + %.1f s (%.1f + %.1f ms a SIF) | %s |\n", images, run,
		spent.Reads, spent.Writes, float64(spent.Writes)/float64(images), float64(after-before)/1024/float64(images), files,
		spent.scanner.Seconds(), spent.reporter.Seconds(), each(spent.scanner), each(spent.reporter), spent.wall.Round(time.Second/10))
	return nil
}
