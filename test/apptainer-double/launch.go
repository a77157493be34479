// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// launch runs all ranks of a plan until they end or until it is told to end them.
func launch(p plan) (err error) {
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGINT)
	go endWithReader(end)
	if p.State == "" {
		// Not below /tmp, which is seen inside: a container does not see its starter's mounts.
		if p.State, err = os.MkdirTemp("/run", "apptainer-double-"); err != nil {
			return err
		}
		defer os.RemoveAll(p.State)
		if err := os.Chmod(p.State, 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(p.session(), 0o755); err != nil {
		return err
	}
	self, err := namedStarter(p)
	if err != nil {
		return err
	}
	if err := ownMounts(p.session()); err != nil {
		return err
	}
	tasks := &cgroups{dir: p.Cgroup}
	defer tasks.remove()
	var starters []*starter
	defer func() {
		for _, s := range starters {
			_ = s.cmd.Process.Signal(unix.SIGTERM) // it may have ended
			err = errors.Join(err, s.wait())
		}
	}()
	for rank := range p.Ranks {
		s, err := startStarter(p, self, func(pid int) error { return tasks.join(rank, pid) })
		if err != nil {
			return err
		}
		starters = append(starters, s)
	}
	for _, s := range starters {
		if err := s.announce(os.Stdout); err != nil {
			return err
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, s := range starters {
			_, _ = io.Copy(io.Discard, s.out) // until it ends
		}
	}()
	select {
	case <-end:
	case <-ended:
	}
	return nil
}

// endWithReader ends the containers when nobody is left who reads what is printed: a test that was killed stops nothing.
func endWithReader(end chan<- os.Signal) {
	stdout := []unix.PollFd{{Fd: 1}} // no event is asked for but the one of a pipe without a reader
	for stdout[0].Revents&unix.POLLERR == 0 {
		if _, err := unix.Poll(stdout, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
	end <- unix.SIGTERM
}

// namedStarter copies this program to the name that the kernel shows of Apptainer's.
func namedStarter(p plan) (string, error) {
	dir := filepath.Join(p.State, "libexec/apptainer/bin")
	name := filepath.Join(dir, "starter")
	if p.Setuid {
		name += "-suid"
	}
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return "", err
	}
	return name, errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(name, program, 0o755))
}

// ownMounts gives this process mounts of its own, among them a /dev/fuse that users may open as they may on any
// distribution. A user namespace has no right to change permissions of the machine's.
func ownMounts(mountPoint string) error {
	return first(
		func() error { return unix.Unshare(unix.CLONE_NEWNS) },
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount("tmpfs", mountPoint, "tmpfs", 0, "") },
		func() error {
			return unix.Mknod(mountPoint+"/fuse", unix.S_IFCHR|0o666, int(unix.Mkdev(10, 229)))
		},
		func() error { return os.Chmod(mountPoint+"/fuse", 0o666) },
		func() error { return unix.Mount(mountPoint+"/fuse", "/dev/fuse", "", unix.MS_BIND, "") },
		func() error { return unix.Unmount(mountPoint, unix.MNT_DETACH) },
	)
}

// first runs steps until one fails.
func first(steps ...func() error) error {
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// starter is a starter as its parent sees it.
type starter struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// startStarter starts the starter of one rank. before runs when it has a process id and does nothing yet.
func startStarter(p plan, self string, before func(pid int) error) (*starter, error) {
	p.Stage = stageStarter
	cmd := exec.Command(self)
	cmd.Args = []string{"Apptainer runtime parent: " + filepath.Base(p.Image)}
	if p.Instance != "" {
		cmd.Args = []string{fmt.Sprintf("Apptainer instance: %d [%s]", p.User, p.Instance)}
	}
	cmd.Env = []string{"APPTAINER_MESSAGELEVEL=0"}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	if !p.Setuid {
		inUserNamespace(cmd.SysProcAttr, p)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s := &starter{cmd, bufio.NewReader(out)}
	return s, startStage(cmd, p, before)
}

// inUserNamespace makes a process the user's in a user namespace of its own, with the capabilities there that mounting takes.
func inUserNamespace(attr *syscall.SysProcAttr, p plan) {
	inside := p.User
	if p.Fakeroot {
		inside = 0
	}
	attr.Cloneflags |= unix.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: inside, HostID: p.User, Size: 1}}
	attr.GidMappings = attr.UidMappings
	attr.Credential = &syscall.Credential{Uid: uint32(inside), Gid: uint32(inside), NoSetGroups: true}
	attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_DAC_OVERRIDE, unix.CAP_SYS_CHROOT}
}

// startStage starts a process of this program and gives it its plan.
func startStage(cmd *exec.Cmd, p plan, before func(pid int) error, further ...*os.File) error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer writer.Close()
	defer reader.Close()
	cmd.Env = append(cmd.Env, planVariable+"="+strconv.Itoa(planFD))
	cmd.ExtraFiles = append([]*os.File{reader}, further...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the %s: %w", p.Stage, err)
	}
	if err := before(cmd.Process.Pid); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return json.NewEncoder(writer).Encode(p)
}

// announce passes on what the starter says when its container runs.
func (s *starter) announce(to io.Writer) error {
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the container did not start: %w", err)
	}
	_, err = to.Write(line)
	return err
}

func (s *starter) wait() error {
	err := s.cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return &exitError{exit.ExitCode()}
	}
	return err
}

// cgroups are those made for ranks.
type cgroups struct {
	dir  string
	made []string
}

// join puts a process into the cgroup of a rank, as slurmstepd does before the task starts.
func (c *cgroups) join(rank, pid int) error {
	if c.dir == "" {
		return nil
	}
	task := filepath.Join(c.dir, "task_"+strconv.Itoa(rank))
	for dir := task; !exists(dir); dir = filepath.Dir(dir) {
		c.made = append(c.made, dir)
	}
	return errors.Join(os.MkdirAll(task, 0o755),
		os.WriteFile(filepath.Join(task, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644))
}

// remove removes what was made, children first: a later rank's directories are below an earlier one's.
func (c *cgroups) remove() {
	for left := len(c.made); left > 0; left-- {
		for _, dir := range c.made {
			_ = os.Remove(dir) // not yet empty, or gone
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
