// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

func TestAScanOfASIFCostsTheContainersProcessesNothing(t *testing.T) {
	c := startImage(t, "science.sif", "--home="+at("home"), "--scratch-files=50000").Containers[0]
	own := append(c.Helpers, c.Command) // the starter is a double: its own housekeeping says nothing of Apptainer's
	before, err := live.CPU(own)
	if err != nil {
		t.Fatal(err)
	}
	report, r := scanPID(t, c.Command)
	after, err := live.CPU(own)
	if err != nil {
		t.Fatal(err)
	}
	charged := after - before
	if report == nil {
		t.Fatalf("scan ended with %d\n%s", r.exit, r.stderr)
	}
	t.Logf("the scan took %s of CPU, of the container's processes %s", r.cpu, charged)
	if charged > r.cpu/100 {
		t.Errorf("the container's processes were charged %s for a scan of %s, want at most 1 %%", charged, r.cpu)
	}
}

func TestTheImageOf128RanksIsReadOnce(t *testing.T) {
	read := func(ranks int) int {
		run := startImage(t, "science.sif", "--ranks="+strconv.Itoa(ranks))
		equal(t, "ranks", only(t).Ranks, int32(ranks))
		trace := filepath.Join(t.TempDir(), "trace")
		r := finish(t, exec.Command("strace", "-f", "-qq", "-o", trace, "-P", at("science.sif"), "-e", "trace=pread64,read,preadv", "-e", "signal=none",
			agent, "scan", "--image-pattern="+at("science.sif"), "--formats=json", "--output-dir="+t.TempDir()))
		if r.exit != 0 {
			t.Fatalf("scan ended with %d\n%s", r.exit, r.stderr)
		}
		if err := run.Stop(); err != nil {
			t.Fatal(err)
		}
		return bytesRead(t, trace)
	}
	const magic = 512 // bytes at most by which each rank's descriptor is known
	one, many := read(1), read(128)
	if one == 0 || many > one+127*magic {
		t.Errorf("%d bytes of the image were read for one rank, %d for 128", one, many)
	}
}

var readResult = regexp.MustCompile(`\b(?:pread64|read|preadv)\b.* = ([0-9]+)$`)

// bytesRead adds up what the calls of a trace returned.
func bytesRead(t *testing.T, trace string) (sum int) {
	t.Helper()
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if m := readResult.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			n, _ := strconv.Atoi(m[1]) // digits
			sum += n
		}
	}
	return sum
}

var opened = regexp.MustCompile(`"([^"]*)"`)

// A starter's root and a helper's are the node's: whoever walks them reads the node. Nothing of the container's own root is
// looked at where the image can be read.
func TestNoRootIsOpenedWhereTheImageCanBeRead(t *testing.T) {
	for _, flags := range [][]string{nil, {"--setuid"}, {"--writable-tmpfs"}, {"--underlay"}} {
		c := startImage(t, "science.sif", append(flags, "--home="+at("home"), "--scratch-files=50000")...)
		paths := traced(t, "scan", "--pid="+strconv.Itoa(c.Containers[0].Command), "--formats=json", "--output-dir="+t.TempDir())
		for _, path := range paths {
			if strings.HasPrefix(path, "/proc/") && (strings.HasSuffix(path, "/root") || strings.Contains(path, "/root/")) {
				t.Errorf("%v: %s was opened", flags, path)
			}
			if strings.HasPrefix(path, at("home")) || strings.HasPrefix(path, "/scratch") {
				t.Errorf("%v: %s was opened", flags, path)
			}
		}
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOfASandboxOnlyTheImageIsWalked(t *testing.T) {
	c := startImage(t, "sandbox", "--setuid", "--home="+at("home"), "--scratch-files=50000").Containers[0]
	paths := traced(t, "scan", "--pid="+strconv.Itoa(c.Command), "--formats=json", "--output-dir="+t.TempDir())
	if len(paths) > 5000 {
		t.Errorf("%d paths were opened: the scratch was walked", len(paths))
	}
	for _, path := range paths {
		for _, pid := range append(c.Helpers, c.Starter) {
			if root := fmt.Sprintf("/proc/%d/root", pid); strings.HasPrefix(path, root) {
				t.Errorf("%s was opened", path)
			}
		}
		if strings.Contains(path, "node_modules") || strings.Contains(path, "scratch/") {
			t.Errorf("%s was opened", path)
		}
	}
}

// traced runs the agent and returns all paths that it opened.
func traced(t *testing.T, args ...string) (paths []string) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	line := append([]string{"-f", "-qq", "-s", "4096", "-o", trace, "-e", "trace=open,openat,openat2,chdir,chroot,readlinkat", "-e", "signal=none", agent}, args...)
	if r := finish(t, exec.Command("strace", line...)); r.exit != 0 {
		t.Fatalf("the agent ended with %d\n%s", r.exit, r.stderr)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if m := opened.FindStringSubmatch(line); m != nil {
			paths = append(paths, m[1])
		}
	}
	if len(paths) == 0 {
		t.Fatal("the trace is empty")
	}
	return paths
}

func TestContainersAreFoundAmongTwoThousandProcessesWithinASecond(t *testing.T) {
	startImage(t, "science.sif")
	for range 2000 {
		idle := exec.Command(at("sandbox") + live.Sleep)
		idle.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
		if err := idle.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = idle.Process.Kill() // it sleeps for ever
			_ = idle.Wait()
		})
	}
	r := call(t, "ps")
	t.Logf("%s of CPU", r.cpu)
	if r.exit != 0 || r.cpu > time.Second {
		t.Errorf("ps ended with %d after %s of CPU, want at most 1 s\n%s", r.exit, r.cpu, r.stderr)
	}
	if !strings.Contains(r.stdout, "science.sif") {
		t.Errorf("the container is not in\n%s", r.stdout)
	}
}
