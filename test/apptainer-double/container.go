// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// etcFiles are seen inside as Apptainer makes them or as the machine has them, not as the image has them.
var etcFiles = []string{"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf"}

// startingFD is closed when the command's program runs; what is written to it is why it does not.
const startingFD = planFD + 1

// runContainer is the container's first process: it enters final and becomes the command, or its init.
func runContainer(p plan) error {
	starting := os.NewFile(startingFD, "starting")
	unix.CloseOnExec(startingFD)
	err := os.WriteFile("/proc/self/comm", []byte("appinit"), 0) // the name that the command's program replaces, if there is no init
	if err == nil {
		err = enter(p)
	}
	if err == nil && p.init() {
		return beInit(p, starting)
	}
	if err == nil {
		err = dropRights(p)
	}
	if err == nil {
		err = unix.Exec(p.Command[0], p.Command, p.Environment)
	}
	_, _ = fmt.Fprint(starting, err) // nobody else could be told
	return err
}

// points are the directories of the container that are others than the image's.
func (p plan) points() []string {
	points := append([]string{"/proc", "/sys", "/dev", "/tmp", "/var/tmp"}, p.Binds...)
	if p.Home != "" {
		points = append(points, p.Home)
	}
	if p.Scratch > 0 {
		points = append(points, "/scratch")
	}
	return points
}

// enter mounts the user's directories into final and makes it the root.
func enter(p plan) error {
	final := filepath.Join(p.session(), "final")
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, point := range p.points() {
		if err := p.mountPoint(final, point); err != nil {
			return fmt.Errorf("%s: %w", point, err)
		}
	}
	for _, name := range etcFiles {
		if exists(name) && exists(final+name) {
			if err := unix.Mount(name, final+name, "", unix.MS_BIND, ""); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return first(
		func() error { return os.Chdir(final) },
		func() error { return unix.PivotRoot(".", ".") }, // the old root then lies over the new one
		func() error { return unix.Unmount(".", unix.MNT_DETACH) },
		func() error { return os.Chdir("/") },
		// As Apptainer leaves it: what is unbindable cannot be cloned by open_tree either.
		func() error { return unix.Mount("", "/", "", unix.MS_UNBINDABLE, "") },
	)
}

func (p plan) mountPoint(final, point string) error {
	target := final + point
	switch {
	case !exists(target): // an underlay has no mount points but the image's
		return nil
	case point != "/scratch" && !exists(point): // not every pod has a /var/tmp
		return nil
	case point == "/scratch":
		return mountScratch(target, p.Scratch)
	case point == "/proc" && p.PIDNamespace:
		return unix.Mount("proc", target, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	return unix.Mount(point, target, "", unix.MS_BIND|unix.MS_REC, "")
}

// mountScratch mounts a tmpfs with many files, a thousand to a directory.
func mountScratch(target string, files int) error {
	if err := unix.Mount("tmpfs", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return err
	}
	for i := range files {
		dir := filepath.Join(target, strconv.Itoa(i/1000))
		if i%1000 == 0 {
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
		}
		fd, err := unix.Open(filepath.Join(dir, strconv.Itoa(i)), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return err
		}
		if err := unix.Close(fd); err != nil {
			return err
		}
	}
	return nil
}

// dropRights leaves the process what the user has.
func dropRights(p plan) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if p.Setuid {
		return errors.Join(unix.Setgroups(nil), unix.Setresgid(p.User, p.User, p.User), unix.Setresuid(p.User, p.User, p.User))
	}
	return unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
}

// beInit is appinit: it starts the command and waits.
func beInit(p plan, starting *os.File) error {
	err := dropRights(p)
	cmd := exec.Command(p.Command[0], p.Command[1:]...)
	cmd.Env = p.Environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		_, _ = fmt.Fprint(starting, err) // nobody else could be told
		return err
	}
	if err := starting.Close(); err != nil {
		return err
	}
	signal.Ignore(unix.SIGINT, unix.SIGTERM)
	return cmd.Wait()
}
