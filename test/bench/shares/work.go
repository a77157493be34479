// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/plan"
	"github.com/sifscan/sifscan-operator/node-agent/reporter"
	"github.com/sifscan/sifscan-operator/test/bench/apiserver"
)

const (
	// namespace of everything.
	namespace = "hpc"
	// workers of a run.
	workers = 4
)

// work scans real SIFs with four workers as pods do: each is a process of the agent with its reporter, the first makes the list,
// the API server keeps it, and each takes its share of it.
type work struct {
	agent string
	dir   string
	api   client.Client
	runs  int
}

// measure prints the rows of real work.
func measure(ctx context.Context, agent string, images int) (err error) {
	agent, err = filepath.Abs(agent)
	if err != nil {
		return err
	}
	server, err := apiserver.Start(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	w := &work{agent: agent, dir: server.Dir}
	if w.api, err = connect(ctx, server); err != nil {
		return err
	}
	fmt.Printf("\n%d workers over SIFs of a %dth of such sizes, medians of %d runs: most against mean (goal: 1.15)\n\n", workers, shrunk, rounds)
	fmt.Println("| volume | SIFs | the largest | bytes, most against mean | CPU of each worker, all at work | most against mean | time of each, one after another | most against mean |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for seed := range uint64(3) {
		if err := w.volume(ctx, seed, images); err != nil {
			return err
		}
	}
	return nil
}

// connect makes a client of the server, which has its namespace then.
func connect(ctx context.Context, server *apiserver.Server) (client.Client, error) {
	scheme := k8sruntime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), metav1.AddMetaToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	config := *server.Config
	config.QPS, config.Burst = 2000, 4000 // the client's own limit is not what is measured
	api, err := client.New(&config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	return api, api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
}

// volume scans a volume twice, once with all workers at a time and once with one after another, and prints a row.
func (w *work) volume(ctx context.Context, seed uint64, images int) error {
	dir := filepath.Join(w.dir, fmt.Sprintf("volume-%d", seed))
	defer os.RemoveAll(dir)
	sizes, err := fill(dir, seed, images)
	if err != nil {
		return err
	}
	items := make([]plan.Item, len(sizes))
	var all, largest int64
	for i, size := range sizes {
		items[i] = plan.Item{Kind: plan.Image, Size: size}
		all, largest = all+size, max(largest, size)
	}
	given := make([]float64, workers)
	for i := range given {
		for _, item := range plan.Share(items, workers, i) {
			given[i] += float64(item.Size)
		}
	}
	together, err := w.medians(ctx, dir, seed, true)
	if err != nil {
		return err
	}
	alone, err := w.medians(ctx, dir, seed, false)
	if err != nil {
		return err
	}
	fmt.Printf("| %d | %d in %.1f GB | %.2f GB | %.3f | %s | %.3f | %s | %.3f |\n", seed, images, float64(all)/1e9, float64(largest)/1e9,
		ratio(given), seconds(together.cpu), ratio(together.cpu), seconds(alone.wall), ratio(alone.wall))
	return nil
}

// rounds is of how many runs medians are taken: other processes take their part of caches and processors.
const rounds = 3

// took are the seconds of each worker's scanner.
type took struct{ cpu, wall []float64 }

// medians are those of each worker over several runs.
func (w *work) medians(ctx context.Context, dir string, seed uint64, together bool) (took, error) {
	var cpu, wall [workers][]float64
	for range rounds {
		t, err := w.run(ctx, dir, seed, together)
		if err != nil {
			return took{}, err
		}
		for i := range workers {
			cpu[i], wall[i] = append(cpu[i], t.cpu[i]), append(wall[i], t.wall[i])
		}
	}
	var t took
	for i := range workers {
		slices.Sort(cpu[i])
		slices.Sort(wall[i])
		t.cpu, t.wall = append(t.cpu, cpu[i][rounds/2]), append(t.wall, wall[i][rounds/2])
	}
	return t, nil
}

// ratio is the largest against the mean.
func ratio(numbers []float64) float64 {
	var sum, most float64
	for _, n := range numbers {
		sum, most = sum+n, max(most, n)
	}
	return most * float64(len(numbers)) / sum
}

func seconds(all []float64) string {
	var words []string
	for _, s := range all {
		words = append(words, fmt.Sprintf("%.2f", s))
	}
	return strings.Join(words, ", ") + " s"
}

// run is one run over a volume that opens every image.
func (w *work) run(ctx context.Context, dir string, seed uint64, together bool) (took, error) {
	w.runs++
	all := took{cpu: make([]float64, workers), wall: make([]float64, workers)}
	errs := make([]error, workers)
	var begun sync.WaitGroup
	for i := range workers {
		one := func() { all.cpu[i], all.wall[i], errs[i] = w.worker(ctx, dir, seed, i) }
		if together {
			begun.Go(one)
		} else {
			one()
		}
	}
	begun.Wait()
	return all, errors.Join(errs...)
}

// worker runs scanner and reporter of one worker to their end.
func (w *work) worker(ctx context.Context, dir string, seed uint64, index int) (cpu, wall float64, err error) {
	run := fmt.Sprintf("scan-%d", w.runs)
	place := filepath.Join(w.dir, run, strconv.Itoa(index))
	results, state := filepath.Join(place, "results"), filepath.Join(place, "state")
	if err := errors.Join(os.MkdirAll(results, 0o755), os.MkdirAll(state, 0o755)); err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(place)
	claim := fmt.Sprintf("claim-%d", seed)
	o := reporter.Options{
		Namespace: namespace, Node: "node-1", ScanName: run, ScanUID: "uid-of-" + run, Run: run, Job: run,
		Worker: int32(index), Workers: workers, LookEvery: 50 * time.Millisecond,
		Claims: []reporter.Claim{{Name: claim, UID: "uid-of-" + claim}},
		Engine: native.Name, ScanTypes: []string{"fileinsight", "pkg"},
		Artifacts: v1alpha1.ArtifactsConfigMap, MaxFindings: 20, Rescan: v1alpha1.RescanAlways,
	}
	reporting, end := context.WithCancel(ctx)
	reported := make(chan error, 1)
	go func() { reported <- reporter.Run(reporting, w.api, results, state, o, logr.Discard()) }()

	scanner := exec.CommandContext(ctx, w.agent, "scan", "--volume="+dir+"=/shared", "--results-dir="+results, "--state-dir="+state,
		"--workers="+strconv.Itoa(workers), "--termination-log="+filepath.Join(place, "termination-log"), "--", "**")
	scanner.Env = append(os.Environ(), "JOB_COMPLETION_INDEX="+strconv.Itoa(index))
	scanner.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	scanner.Stdout, scanner.Stderr = &out, &out
	begin := time.Now()
	err = scanner.Run()
	wall = time.Since(begin).Seconds()
	// As the kubelet does with a sidecar when the pod's container has ended.
	end()
	if err = errors.Join(err, <-reported); err != nil {
		return 0, 0, fmt.Errorf("worker %d: %w\n%.2000s", index, err, out.Bytes())
	}
	return (scanner.ProcessState.UserTime() + scanner.ProcessState.SystemTime()).Seconds(), wall, nil
}
