// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Command apptainer-double runs containers whose processes, namespaces and mounts have the shape of Apptainer 1.5's, made
// from the same parts of the kernel and by the same helpers (Debian: squashfuse, fuse-overlayfs), for tests of what finds
// containers from outside. It needs root, isolates nothing that matters, and takes a command line like Apptainer's.
//
// It prints a line of JSON for each container that runs, and ends them all when it is told to end (SIGTERM, SIGINT).
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// Each of these stages is a process of its own, as Apptainer's are.
var stages = map[string]func(plan) error{
	stageStarter:   runStarter,
	stageContainer: runContainer,
}

// A thread has a namespace and a parent of its own; what is done below concerns the process, which is its first thread.
func init() { runtime.LockOSThread() }

func main() {
	err := run()
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		os.Exit(exit.code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "apptainer-double:", err)
		os.Exit(255) // as Apptainer's own failures
	}
}

func run() error {
	if os.Getenv(planVariable) != "" {
		p, err := receivePlan()
		if err != nil {
			return err
		}
		return stages[p.Stage](p)
	}
	p, err := parse(os.Args[1:])
	if err != nil {
		return err
	}
	return launch(p)
}

// exitError is the exit of a container's command.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("the command ended with %d", e.code) }
