// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAllThreadsAndChildrenAreServedLast(t *testing.T) {
	if err := idle(); err != nil {
		t.Fatal(err)
	}
	const who, shift, idleClass = 1, 13, 3
	class := func(thread int) uintptr {
		priority, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, who, uintptr(thread), 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		return priority >> shift
	}
	threads, err := exec.Command("ls", "/proc/"+strconv.Itoa(unix.Getpid())+"/task").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range strings.Fields(string(threads)) {
		if id, _ := strconv.Atoi(thread); class(id) != idleClass {
			t.Errorf("thread %d has class %d", id, class(id))
		}
	}
	child := exec.Command("sleep", "infinity")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	if got := class(child.Process.Pid); got != idleClass {
		t.Errorf("a child has class %d", got)
	}
}
