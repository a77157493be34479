// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// spent is what a pod took.
type spent struct {
	scanner, reporter, wall time.Duration
	calls
}

// pod runs scanner and reporter over the volume, as a scan pod of a run that there was not before.
func (b *volume) pod() (spent, error) {
	b.runs++
	work := filepath.Join(b.dir, fmt.Sprintf("pod-%d", b.runs))
	a := assignment{
		Kubeconfig: b.server.Kubeconfig, Results: filepath.Join(work, "results"), State: filepath.Join(work, "state"),
		Scan: fmt.Sprintf("scan-%d", b.runs), Calls: filepath.Join(work, "calls.json"),
		Documents: b.documents,
	}
	if b.profiles != "" {
		a.Profile = filepath.Join(b.profiles, fmt.Sprintf("reporter-%d.pprof", b.runs))
	}
	for _, dir := range []string{a.Results, a.State} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return spent{}, err
		}
	}
	defer os.RemoveAll(work)
	text, err := json.Marshal(a)
	if err != nil {
		return spent{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return spent{}, err
	}
	reporter, scanner := start(self, "-reporter="+string(text)), start(b.agent, "scan",
		"--volume="+filepath.Join(b.dir, claim)+"=/"+claim, "--results-dir="+a.Results, "--state-dir="+a.State,
		"--db="+b.db, "--termination-log="+filepath.Join(work, "termination-log"), "--", "**")
	reporter.Env = append(os.Environ(), "GOMAXPROCS=1") // as in the pod, by the container's limit of one CPU
	begin := time.Now()
	if err := reporter.Start(); err != nil {
		return spent{}, err
	}
	err = scanner.Run()
	s := spent{wall: time.Since(begin)}
	// As the kubelet does with a sidecar when the pod's container has ended.
	err = errors.Join(err, reporter.Process.Signal(syscall.SIGTERM), reporter.Wait())
	if err != nil {
		return s, fmt.Errorf("%w\n%s\n%s", err, end(scanner), end(reporter))
	}
	s.scanner, s.reporter = cpu(scanner), cpu(reporter)
	if text, err = os.ReadFile(a.Calls); err != nil {
		return s, err
	}
	return s, json.Unmarshal(text, &s.calls)
}

func start(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// end is the end of what a process wrote.
func end(cmd *exec.Cmd) []byte {
	const most = 2000
	text := cmd.Stdout.(*bytes.Buffer).Bytes()
	return text[max(0, len(text)-most):]
}

func cpu(cmd *exec.Cmd) time.Duration {
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}
