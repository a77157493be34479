// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/process"
)

// preflight finds out whether the node refuses everything, so that it says so once and not for every container. The first process
// of the node would be no test: it may be guarded on its own. Without the capability a refusal is the usual one, and each container tells.
func preflight(list []Container) error {
	var refused *Container
	for i := range list {
		c := &list[i]
		switch {
		case c.Starter.PID == 0 || !hasFile(&c.Container): // nothing was asked of its processes
		case c.Problem == nil || c.Problem.Code != Denied:
			return nil
		case refused == nil:
			refused = c
		}
	}
	if refused == nil {
		return nil
	}
	return refusedBy(refused.Starter.PID)
}

// refusedBy says which security policy refuses to look at a process; nil where it is none, but the capability that is missing.
func refusedBy(pid int) error {
	status, err := os.ReadFile(process.Dir + "/self/status")
	if err != nil || !mayTrace(status) {
		return nil
	}
	_, sight := os.Readlink(fmt.Sprintf("%s/%d/ns/mnt", process.Dir, pid))
	return policy(sight, attach(pid), confinement())
}

// attach tries to take a descriptor that no process has: EBADF means that it would be allowed.
func attach(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // no such process, or a kernel without: said elsewhere
	}
	defer unix.Close(fd)
	const nobodyHas = 1 << 30
	taken, err := unix.PidfdGetfd(fd, nobodyHas, 0)
	if err == nil {
		unix.Close(taken)
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return err
	}
	return nil
}

// mayTrace tells whether the effective capabilities of proc_pid_status(5) hold CAP_SYS_PTRACE.
func mayTrace(status []byte) bool {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("CapEff:")); ok {
			bits, err := strconv.ParseUint(string(bytes.TrimSpace(rest)), 16, 64)
			return err == nil && bits&(1<<unix.CAP_SYS_PTRACE) != 0
		}
	}
	return false
}

// confined is what the kernel's security modules say of this process.
type confined struct {
	label   string // /proc/self/attr/current
	selinux bool   // enforcing
	yama    string // ptrace_scope
}

func confinement() confined {
	read := func(name string) string {
		text, _ := os.ReadFile(name)
		return strings.Trim(string(text), "\x00\n ")
	}
	return confined{
		label:   read("/proc/self/attr/current"),
		selinux: read("/sys/fs/selinux/enforce") == "1",
		yama:    read("/proc/sys/kernel/yama/ptrace_scope"),
	}
}

// noAttach is the value of Yama's ptrace_scope that no capability outweighs (Documentation/admin-guide/LSM/Yama.rst).
const noAttach = "3"

// policy says who refuses, and which setting of the operator allows it. sight and attach are how the two tries ended.
func policy(sight, attach error, c confined) error {
	if sight != nil && !errors.Is(sight, unix.EACCES) && !errors.Is(sight, unix.EPERM) {
		sight = nil // the process ended
	}
	refused := errors.Join(sight, attach)
	if refused == nil {
		return nil
	}
	message := "a seccomp profile refuses pidfd_getfd: use RuntimeDefault of containerd 1.7 or later"
	switch {
	case c.yama == noAttach && sight == nil:
		message = "Yama refuses to take descriptors (kernel.yama.ptrace_scope is 3 on the node): set it to 2 or less there; the operator cannot"
	case strings.HasSuffix(c.label, "(enforce)"):
		message = fmt.Sprintf("AppArmor's profile %q refuses to look at other processes: set appArmorProfile of the operator's node scans to Unconfined, or to a profile of the node that allows ptrace (read, trace)",
			strings.TrimSuffix(c.label, " (enforce)"))
	case c.selinux:
		message = fmt.Sprintf("SELinux refuses to look at other processes (this one is %s): set seLinuxOptions of the operator's node scans to type spc_t", c.label)
	case sight != nil:
		message = "the node's security policy refuses to look at other processes, and does not say which"
	}
	return &Error{Policy, message}
}
