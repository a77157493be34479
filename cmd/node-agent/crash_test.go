// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/node-agent/handover"
)

// startScanner starts the scanner of a pod whose reporter does not answer: it waits. To root it is the first process of its container.
func startScanner(t *testing.T, results string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	said := &bytes.Buffer{}
	cmd := exec.CommandContext(t.Context(), self, append([]string{"scan", "--results-dir=" + results, "--termination-log=" + results + "/none"}, args...)...)
	cmd.Env = append(os.Environ(), "SIFSCAN_TEST_AGENT=1")
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, said
}

// Go's runtime ends a process at SIGQUIT as it does where nothing can be recovered: it says where each goroutine was.
func TestAScannerThatCrashesIsToldFromOneThatIsCalledWrongly(t *testing.T) {
	results := t.TempDir()
	cmd, said := startScanner(t, results, "--state-dir="+t.TempDir(), "--volume="+t.TempDir()+"=/shared", "**")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	begun := filepath.Join(results, "journal.jsonl")
	for look := time.NewTicker(10 * time.Millisecond); ; {
		if _, err := os.Stat(begun); err == nil {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("it ended before it began: %v\n%s", err, said)
		case <-look.C:
		}
	}
	if handover.Crashed(results) {
		t.Error("it has crashed before it did")
	}
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-ended
	if code := cmd.ProcessState.ExitCode(); code != exitUsage {
		t.Errorf("exit code %d: crashes are told by another, and the reporter's is not needed any more", code)
	}
	if !handover.Crashed(results) || !strings.Contains(said.String(), "goroutine ") {
		t.Errorf("known to the reporter: %v; the log says\n%s", handover.Crashed(results), said)
	}

	results = t.TempDir()
	cmd, said = startScanner(t, results, "--no-such-flag")
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitUsage || handover.Crashed(results) {
		t.Errorf("called wrongly: exit code %d, crashed %v\n%s", code, handover.Crashed(results), said)
	}
}

func TestTheReporterOfAScannerThatCrashedSaysSoHoweverItEnds(t *testing.T) {
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(signalError{syscall.SIGTERM})
	for name, ctx := range map[string]context.Context{"by itself": context.Background(), "by kubelet": ended} {
		if code := exitCode(ctx, runError{errors.Join(errScannerCrashed, context.Canceled)}); code != 134 {
			t.Errorf("%s: exit code %d, want 134, for which the Jobs have a rule", name, code)
		}
	}
}
