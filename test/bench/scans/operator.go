// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// operator is a running operator.
type operator struct {
	cmd *exec.Cmd
	// ended is closed once it ended.
	ended chan struct{}
}

func startOperator(program, kubeconfig string, args ...string) (*operator, error) {
	cmd := exec.Command(program, append([]string{
		"--kubeconfig=" + kubeconfig, "--agent-image=agent:bench", "--metrics-bind-address=0", "--health-probe-bind-address=0", "--zap-log-level=error",
	}, args...)...)
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=230MiB", "GOGC=30") // as in config/manager
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the operator (make build): %w", err)
	}
	o := &operator{cmd: cmd, ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(o.ended) }()
	return o, nil
}

// stop ends the operator and waits for it.
func (o *operator) stop() {
	_ = o.cmd.Process.Signal(syscall.SIGTERM)
	<-o.ended
}

// settle waits until the operator has taken next to no CPU for a while.
func (o *operator) settle(quiet time.Duration) error {
	const idle = 20 * time.Millisecond // leases and timers take some
	for last := o.cpu(); ; {
		select {
		case <-o.ended:
			return fmt.Errorf("the operator ended: %s", o.cmd.ProcessState)
		case <-time.After(quiet):
		}
		now := o.cpu()
		if now-last <= idle {
			return nil
		}
		last = now
	}
}

// cpu is the time that the operator took (proc_pid_stat(5), fields 14 and 15).
func (o *operator) cpu() time.Duration {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every architecture that we build for
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", o.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text)[strings.LastIndexByte(string(text), ')')+1:])
	user, _ := strconv.Atoi(fields[11]) // the kernel writes numbers
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick
}

func (o *operator) resident() uint64 { return o.memory("VmRSS") }
func (o *operator) peak() uint64     { return o.memory("VmHWM") }

// memory reads a field of /proc/PID/status, in bytes.
func (o *operator) memory(field string) uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, _ := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}
