// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// manyImages makes a volume of so many files of one small image, and a sandbox.
func manyImages(t *testing.T, images int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	image, err := os.ReadFile(sif(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range images {
		folder := filepath.Join(dir, fmt.Sprintf("project-%d", i/20))
		if err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, fmt.Sprintf("tool-%d.sif", i)), image, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := fixtures.NewTree(filepath.Join(dir, "sandbox.sif")).With(fixtures.Debian).Dir(".singularity.d").Done(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tracedPod is a scanner below strace, and the reporter beside it, which knows nothing and stores everything.
type tracedPod struct {
	*handover.Reporter
	cmd   *exec.Cmd
	trace string
	// planned is called with the list that the scanner makes.
	planned func(io.Reader) error
}

func newTracedPod(t *testing.T, volume string, flags ...string) *tracedPod {
	t.Helper()
	results, state, trace := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "trace")
	reporter, err := handover.OpenReporter(results, state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reporter.Close() })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// A file for each thread: no call of one is torn apart by another's.
	line := append([]string{"-ff", "-qq", "-ttt", "-y", "-s", "0", "-o", trace, "-e", "signal=none",
		"-e", "trace=open,openat,openat2,newfstatat,statx,readlink,readlinkat,getdents64,read,readv,pread64,preadv", self, "scan",
		"--volume=" + volume + "=/shared", "--results-dir=" + results, "--state-dir=" + state, "--termination-log=" + state + "/none"}, flags...)
	p := &tracedPod{Reporter: reporter, cmd: exec.CommandContext(t.Context(), "strace", append(line, "**")...), trace: trace}
	p.cmd.Env = append(os.Environ(), "SIFSCAN_TEST_AGENT=1")
	return p
}

// run runs the pod to its end.
func (p *tracedPod) run(ctx context.Context) error {
	if err := p.TellKnown(func(func(handover.Known) error) error { return nil }); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	told := make(chan error, 1)
	go func() { told <- p.Follow(ctx, p.answer, func() error { return nil }) }()
	out, err := p.cmd.CombinedOutput()
	cancel()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return errors.Join(err, <-told)
}

func (p *tracedPod) answer(e handover.Event) error {
	switch {
	case e.Type == handover.EventPlanned:
		list, err := p.PlanOffered()
		if err != nil {
			return err
		}
		defer list.Close()
		return p.planned(list)
	case e.Folder != "" || e.Type == handover.EventFinished:
		return p.Ack(handover.Ack{Folder: e.Folder, Finished: e.Type == handover.EventFinished})
	}
	return nil
}

// volumeCall is a system call that asks a volume's server: when, in seconds, and how many bytes it read.
type volumeCall struct {
	at    float64
	bytes int
	read  bool
}

var tracedCall = regexp.MustCompile(`^([0-9.]+) ([a-z0-9]+)\(.*\) += (-?[0-9]+)`)

// calls are those of the pods that name the volume, or a file on it by its descriptor, in order.
func calls(t *testing.T, volume string, pods ...*tracedPod) (all []volumeCall) {
	t.Helper()
	for _, p := range pods {
		files, _ := filepath.Glob(p.trace + ".*") // the pattern is well-formed
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if m := tracedCall.FindStringSubmatch(line); m != nil && strings.Contains(line, volume) {
					at, _ := strconv.ParseFloat(m[1], 64) // digits
					n, _ := strconv.Atoi(m[3])
					all = append(all, volumeCall{at, max(n, 0), strings.Contains(m[2], "read") && !strings.HasPrefix(m[2], "readlink")})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b volumeCall) int { return cmp.Compare(a.at, b.at) })
	return all
}

// busiest is the most that any second holds of what is counted, and sum all of it.
func busiest(all []volumeCall, count func(volumeCall) int) (most, sum int) {
	first, inside := 0, 0
	for _, c := range all {
		for ; c.at-all[first].at >= 1; first++ {
			inside -= count(all[first])
		}
		inside += count(c)
		sum += count(c)
		most = max(most, inside)
	}
	return most, sum
}

func requests(c volumeCall) int {
	if c.read {
		return 0
	}
	return 1
}

func bytesRead(c volumeCall) int {
	if c.read {
		return c.bytes
	}
	return 0
}

// asking is what a pod may ask besides: the volume itself, which has no pace before it is open, and what it was about to ask.
const asking = 2 + 1

// A second holds at most what the pace gives, a tenth of it that was saved up, and what pods ask besides.
func atMost(t *testing.T, what string, most, sum, perSecond, ahead int) {
	t.Helper()
	t.Logf("%d %s, at most %d in a second", sum, what, most)
	if limit := perSecond + perSecond/10 + ahead; most > limit {
		t.Errorf("%d %s in a second, want at most %d", most, what, limit)
	}
	if sum < perSecond*3/2 {
		t.Errorf("%d %s are too few to show anything", sum, what)
	}
}

func TestAPodAsksAVolumeNoMoreOftenThanItsPaceAsTheKernelCounts(t *testing.T) {
	t.Parallel()
	const perSecond = 100
	volume := manyImages(t, 60)
	p := newTracedPod(t, volume, fmt.Sprintf("--requests-per-second=%d", perSecond))
	if err := p.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	most, sum := busiest(calls(t, volume, p), requests)
	atMost(t, "requests", most, sum, perSecond, asking)
}

func TestAPodReadsNoMoreOfAVolumeThanItsPaceAsTheKernelCounts(t *testing.T) {
	t.Parallel()
	const mebibytes, largest = 1, 1 << 20
	volume := manyImages(t, 60)
	p := newTracedPod(t, volume, fmt.Sprintf("--mib-per-second=%d", mebibytes))
	if err := p.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := calls(t, volume, p)
	ahead := 0
	for _, c := range all {
		ahead = max(ahead, bytesRead(c))
	}
	most, sum := busiest(all, bytesRead)
	atMost(t, "bytes", most, sum, mebibytes<<20, min(ahead, largest))
}

func TestTheWorkersOfAScanKeepToItsPaceTogetherAsTheKernelCounts(t *testing.T) {
	t.Parallel()
	const perSecond = 100
	volume := manyImages(t, 60)
	var pods []*tracedPod
	for i := range 2 {
		p := newTracedPod(t, volume, fmt.Sprintf("--requests-per-second=%d", perSecond), "--workers=2")
		p.cmd.Env = append(p.cmd.Env, fmt.Sprintf("JOB_COMPLETION_INDEX=%d", i))
		pods = append(pods, p)
	}
	frozen, ended := make(chan error, 1), make(chan error, 2)
	pods[0].planned = func(list io.Reader) error {
		text, err := io.ReadAll(list)
		for _, p := range pods {
			err = errors.Join(err, p.TellPlan(func(w io.Writer) error { _, err := w.Write(text); return err }))
		}
		frozen <- err
		return err
	}
	go func() { ended <- pods[0].run(t.Context()) }()
	if err := <-frozen; err != nil {
		t.Fatal(err)
	}
	searched := calls(t, volume, pods[0])
	go func() { ended <- pods[1].run(t.Context()) }()
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Fatal(err)
	}
	most, sum := busiest(calls(t, volume, pods...), requests)
	atMost(t, "requests of two workers", most, sum, perSecond, 2*asking+perSecond/2/10) // the second has saved up a tenth of its own
	// The first worker searches while the others wait: it has all of the pace.
	const half = perSecond / 2
	if most, _ := busiest(searched, requests); most <= half+half/10+asking {
		t.Errorf("the search asked at most %d times in a second, which half of the pace allows", most)
	}
}
