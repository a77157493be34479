// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Command scans measures the operator, as its own process, against a real API server: what a SIFScan
// costs from its creation to its finished status, and how much memory many of them and their reports
// take. The bench plays the Job controller and the reporters.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func main() {
	ctrl.SetLogger(logr.Discard())
	manager := flag.String("manager", filepath.Join("bin", "manager"), "the operator's program")
	batches := flag.String("scans", "100,10000", "SIFScans of each batch, separated by commas; all of a batch are at work at once")
	queued := flag.Int("queued", 1000, "SIFScans of a last batch that has ten slots")
	reports := flag.Int("reports", 50_000, "ScanReports to add at the end")
	// client-go forgets an Event that it sent after 6 to 12 minutes (tools/events, finishTime).
	rest := flag.Duration("rest", 13*time.Minute, "how long nothing happens before memory is measured")
	profiles := flag.String("profiles", "", "address at which the operator serves Go's profiles meanwhile, such as localhost:6060; empty: none")
	flag.Parse()
	b := bench{manager: *manager, batches: *batches, queued: *queued, reports: *reports, rest: *rest, profiles: *profiles}
	if err := b.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "scans:", err)
		os.Exit(1)
	}
}

// bench is what the command line asks for.
type bench struct {
	manager, batches string
	queued, reports  int
	rest             time.Duration
	profiles         string
}

func (b *bench) run(ctx context.Context) (err error) {
	scheme := k8sruntime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	s, err := startServer(scheme)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before the server stops, which waits for watches
	p, err := newPlayer(ctx, s.Config, scheme)
	if err != nil {
		return err
	}

	fmt.Println("| SIFScans at once | slots | writes each | reads each | CPU each | time | resident after | peak |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	operator, err := startOperator(b.manager, s.Kubeconfig, "--pprof-bind-address="+b.profiles,
		"--max-scans=0", "--max-scans-per-namespace=0", "--max-scans-per-volume=0")
	if err != nil {
		return err
	}
	// The first scan of a namespace makes the reporter's account there.
	if err := p.batch(ctx, namespaces); err != nil {
		operator.stop()
		return err
	}
	all := namespaces
	for _, word := range strings.Split(b.batches, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			operator.stop()
			return fmt.Errorf("-scans %s: %w", b.batches, err)
		}
		if err := measure(ctx, s, p, operator, n, "any number"); err != nil {
			operator.stop()
			return err
		}
		all += n
	}
	if err := grow(ctx, p, operator, all, b.reports, b.rest); err != nil {
		operator.stop()
		return err
	}
	operator.stop()

	if b.queued == 0 {
		return nil
	}
	if operator, err = startOperator(b.manager, s.Kubeconfig, "--pprof-bind-address="+b.profiles, "--max-scans=10", "--max-scans-per-namespace=4"); err != nil {
		return err
	}
	defer operator.stop()
	return measure(ctx, s, p, operator, b.queued, "10")
}

// quiet is how long nothing must happen until a batch counts as done with.
const quiet = 5 * time.Second

// measure runs a batch and prints its row.
func measure(ctx context.Context, s *server, p *player, operator *operator, n int, slots string) error {
	if err := operator.settle(quiet); err != nil {
		return err
	}
	before, err := s.requests()
	if err != nil {
		return err
	}
	cpu, begin := operator.cpu(), time.Now()
	if err := p.batch(ctx, n); err != nil {
		return err
	}
	took := time.Since(begin)
	if err := operator.settle(quiet); err != nil {
		return err
	}
	spent := operator.cpu() - cpu
	after, err := s.requests()
	if err != nil {
		return err
	}
	each := func(n int, of int) string { return fmt.Sprintf("%.1f", float64(n)/float64(of)) }
	fmt.Printf("| %d | %s | %s (%s) | %s (%s) | %.1f ms | %s | %d MiB | %d MiB |\n", n, slots,
		each(after.writes-before.writes, n), kinds(before.written, after.written, n),
		each(after.reads-before.reads, n), kinds(before.read, after.read, n),
		spent.Seconds()*1000/float64(n), took.Round(time.Second), operator.resident()>>20, operator.peak()>>20)
	return nil
}

// grow adds reports and compares the operator's memory. Every SIFScan of the batches is done by then.
func grow(ctx context.Context, p *player, operator *operator, scans, reports int, rest time.Duration) error {
	if reports == 0 {
		return nil
	}
	time.Sleep(rest)
	if err := operator.settle(quiet); err != nil {
		return err
	}
	before := operator.resident()
	if err := p.reports(ctx, reports-scans); err != nil {
		return err
	}
	if err := operator.settle(quiet); err != nil {
		return err
	}
	goal := uint64(64<<20 + scans*8<<10)
	fmt.Printf("\nWith %d SIFScans, at rest: %.1f MiB resident (goal: %.1f); with %d ScanReports instead of %d: %.1f MiB.\n\n",
		scans, mib(before), mib(goal), reports, scans, mib(operator.resident()))
	return nil
}

func mib(n uint64) float64 { return float64(n) / (1 << 20) }
