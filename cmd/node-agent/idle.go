// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// idle gives this process, and all that it starts, the I/O priority that is served when nobody else asks (ioprio_set(2)). It
// is a property of threads, which new ones inherit.
func idle() error {
	const who, class, shift = 1, 3, 13 // IOPRIO_WHO_PROCESS, IOPRIO_CLASS_IDLE, IOPRIO_CLASS_SHIFT
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list this process's threads: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		_, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, who, uintptr(id), class<<shift)
		if errno != 0 && errno != unix.ESRCH {
			return fmt.Errorf("take the idle I/O priority: %w", errno)
		}
	}
	return nil
}
