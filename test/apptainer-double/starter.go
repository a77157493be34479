// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

// runStarter is the starter: it mounts the image, holds it open, starts the container and outlives it.
func runStarter(p plan) error {
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGINT)
	image, err := os.OpenFile(p.Image, p.openFlags(), 0)
	if err != nil {
		return err
	}
	defer image.Close()
	s := &session{plan: p, dir: p.session(), image: image}
	defer s.close()
	if err := s.mount(); err != nil {
		return err
	}
	cmd, err := startContainer(p)
	if err != nil {
		return err
	}
	// The setuid build gives up its rights where it can and keeps them in reserve.
	if p.Setuid {
		if err := errors.Join(unix.Setresgid(p.User, p.User, 0), unix.Setresuid(p.User, p.User, 0)); err != nil {
			return err
		}
	}
	command, err := commandOf(cmd.Process.Pid, p)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(live.Container{Starter: os.Getpid(), Command: command, Helpers: s.helperIDs()}); err != nil {
		return err
	}
	go func() {
		<-end
		_ = cmd.Process.Kill() // it may have ended
	}()
	if err := cmd.Wait(); cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
		return nil // ended from outside
	} else if err != nil {
		return &exitError{cmd.ProcessState.ExitCode()}
	}
	return nil
}

// startContainer starts the container's first process and returns when the user's command runs.
func startContainer(p plan) (*exec.Cmd, error) {
	p.Stage = stageContainer
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"appinit"}
	cmd.Env = []string{}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	if p.PIDNamespace {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWPID
	}
	if p.IPCNamespace {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWIPC
	}
	if !p.Setuid {
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_DAC_OVERRIDE, unix.CAP_SYS_CHROOT}
	}
	// The command's program closes the other end when it is executed, and not before.
	started, starting, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer started.Close()
	err = startStage(cmd, p, func(int) error { return nil }, starting)
	starting.Close()
	if err != nil {
		return nil, err
	}
	if said, err := io.ReadAll(started); err != nil || len(said) > 0 {
		return nil, errors.Join(fmt.Errorf("the container did not start: %s", said), err, cmd.Process.Kill(), cmd.Wait())
	}
	return cmd, nil
}

// commandOf finds the process of the user's command: the container's first process, or its child.
func commandOf(pid int, p plan) (int, error) {
	if !p.init() {
		return pid, nil
	}
	var child int
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err == nil {
		_, err = fmt.Sscan(string(text), &child)
	}
	return child, err
}
