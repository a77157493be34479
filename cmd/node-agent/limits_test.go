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
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// process is the agent as a process of its own, with qscanner's double.
func (b *bench) process(image string, args ...string) *exec.Cmd {
	b.t.Helper()
	all := []string{"scan", "--engine=qscanner", "--mode=inventory-only", "--qscanner-binary=" + double(b.t, "qscanner-double"),
		"--tmp-dir=" + b.tmp, "--output-dir=" + b.out, "--formats=json,spdx"}
	cmd := agentProcess(append(append(all, args...), image)...)
	cmd.Env = append(cmd.Env, "QUALYS_ACCESS_TOKEN="+token)
	return cmd
}

// trivyProcess is the agent as a process of its own, with trivy's double.
func trivyProcess(t *testing.T, image string) *exec.Cmd {
	t.Helper()
	return agentProcess("scan", "--engine=trivy", "--trivy-binary="+double(t, "trivy-double"), "--db="+trivyCache(t, false),
		"--tmp-dir="+t.TempDir(), "--output-dir="+t.TempDir(), "--formats=json,spdx", "--scan-types=pkg,secret", image)
}

func agentProcess(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "SIFSCAN_TEST_AGENT=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd
}

// maxResident is what the agent may take to read an engine's outputs, in KiB: they are kept to be handed on, 32 MiB each at
// most, one is decoded at a time, and the garbage collector lets the heap double.
const maxResident = 512 << 10

// shadowed is true under the race detector.
var shadowed bool

func TestOutputsOfAHundredMegabytesAreReadInBoundedMemory(t *testing.T) {
	all := func(how string) string {
		return fmt.Sprintf("output spdx %[1]s\noutput json %[1]s\noutput sarif %[1]s\n", how)
	}
	for name, c := range map[string]struct {
		qscanner, trivy         string // what the doubles are told
		qscannerExit, trivyExit int
	}{
		"beyond the limit":              {all("huge"), "output huge\n", exitFailed, exitFailed},
		"just within the limit":         {all("large"), "output large\n", exitDone, exitFailed}, // trivy's is one value of 31 MiB
		"nested a million deep":         {all("deep"), "output deep\n", exitFailed, exitFailed},
		"of a million pieces":           {all("elements"), "output elements\n", exitFailed, exitFailed},
		"of packages that are all true": {"", "packages 20000\n", exitDone, exitDone}, // trivy's 55 MiB
		"shouted at the terminal":       {"shout 100\n", "shout 100\n", exitDone, exitDone},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			image := sif(t, told(c.qscanner), toldTrivy(c.trivy))
			inBoundedMemory(t, b.process(image, "--mode=get-report", "--gateway-url="+b.gateway.URL), c.qscannerExit)
			inBoundedMemory(t, trivyProcess(t, image), c.trivyExit)
		})
	}
}

func inBoundedMemory(t *testing.T, cmd *exec.Cmd, exit int) {
	t.Helper()
	_ = cmd.Run()
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if cmd.ProcessState.ExitCode() != exit || usage.Maxrss > maxResident && !shadowed {
		t.Errorf("exit code %d, want %d; %d KiB, want at most %d\n%.2000s", cmd.ProcessState.ExitCode(), exit, usage.Maxrss, maxResident, cmd.Stdout)
	}
	t.Logf("%s: %d MiB", cmd.Args[2], usage.Maxrss>>10)
}

func TestAnEngineThatTheKernelKillsForItsMemoryFailsItsImageAlone(t *testing.T) {
	group := memoryGroup(t, 192<<20)
	b := newBench(t)
	dir := t.TempDir()
	for name, instructions := range map[string]string{"a-greedy.sif": "eat 2000000000\n", "b-good.sif": ""} {
		if err := os.Rename(sif(t, told(instructions)), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := b.process(dir)
	// The shell joins the group and becomes the agent.
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(group, "cgroup.procs"), "/proc/" + strconv.Itoa(os.Getpid()) + "/exe"}, cmd.Args[1:]...)
	_ = cmd.Run()
	printed := fmt.Sprint(cmd.Stdout)
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(printed, "a-greedy.sif  "+v1alpha1.ReasonOOMKilled) ||
		!strings.Contains(printed, "raise spec.resources.limits.memory, for instance to 384Mi") || !strings.Contains(printed, "b-good.sif  3 packages") {
		t.Errorf("exit code %d\n%s", cmd.ProcessState.ExitCode(), printed)
	}
	noDoubleRuns(t)
}

// memoryGroup makes a cgroup with a memory limit below the test's own.
func memoryGroup(t *testing.T, limit int) string {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(own)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		file, root := "memory.limit_in_bytes", "/sys/fs/cgroup/memory"
		if parts[0] == "0" {
			file, root = "memory.max", "/sys/fs/cgroup"
		} else if parts[1] != "memory" {
			continue
		}
		dir := filepath.Join(root, parts[2], fmt.Sprintf("sifscan-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(dir) })
		if os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(limit)), 0) == nil {
			return dir
		}
	}
	t.Skip("needs the right to make a memory cgroup")
	return ""
}

func TestASignalEndsTheEngineAndLeavesNothing(t *testing.T) {
	b := newBench(t)
	cmd := b.process(sif(t, told("leak\nhang\n")))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	untilDoubleRuns(t)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 143 {
		t.Errorf("exit code %d\n%s", code, cmd.Stdout)
	}
	if left, _ := os.ReadDir(b.tmp); len(left) != 0 {
		t.Errorf("left in the tmp directory: %v", left)
	}
	noDoubleRuns(t)
}

func TestAnAgentThatIsKilledTakesItsEngineWithIt(t *testing.T) {
	b := newBench(t)
	cmd := b.process(sif(t, told("hang\n")))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	untilDoubleRuns(t)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	eventually(t, "the engine to end", func() bool { return len(runningDoubles()) == 0 })
	left, _ := os.ReadDir(b.tmp)
	if len(left) != 1 {
		t.Fatalf("left in the tmp directory: %v", left)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(b.tmp, left[0].Name()), long, long); err != nil {
		t.Fatal(err)
	}
	if code, printed, _ := b.scan(sif(t), "--mode=inventory-only"); code != 0 { // which looks that nothing is left
		t.Errorf("exit code %d\n%s", code, printed)
	}
}

func runningDoubles() (pids []string) {
	dir, _ := doubles()
	exes, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range exes {
		if target, err := os.Readlink(exe); err == nil && strings.HasPrefix(target, dir) {
			pids = append(pids, exe)
		}
	}
	return pids
}

func untilDoubleRuns(t *testing.T) {
	t.Helper()
	eventually(t, "the engine to run", func() bool { return len(runningDoubles()) > 0 })
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal(errors.New("waited in vain for " + what))
		case <-tick.C:
		}
	}
}
