// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

// cost of a finished command, its children included.
type cost struct {
	cpu, wall time.Duration
	// peak is the resident memory of the largest process, in bytes.
	peak int64
}

// command is one side of a comparison. before runs uncounted ahead of each run.
type command struct {
	name   string
	args   []string
	before func() error
	// users are other processes whose CPU counts, too.
	users []int
}

// measure runs the command to its end and asks the kernel what it took. The command runs below
// a shell of its own, so that what the kernel adds up is this run's alone.
func (c command) measure() (cost, error) {
	if c.before != nil {
		if err := c.before(); err != nil {
			return cost{}, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	usersBefore, err := live.CPU(c.users)
	if err != nil {
		return cost{}, err
	}
	cmd := exec.Command(c.args[0], c.args[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err = cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w\n%s", c.name, err, tail(out.Bytes(), 1000))
	}
	usersAfter, err := live.CPU(c.users)
	if err != nil {
		return cost{}, err
	}
	use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{
		cpu:  cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime() + usersAfter - usersBefore,
		wall: wall,
		peak: use.Maxrss << 10,
	}, nil
}

// ratio is what a pair of runs gave: ours divided by the peer's.
type ratio struct {
	cpu, wall float64
	peak      int64 // of ours
}

// compare runs both commands in turn, pairs times, after one pair that is not counted, and
// returns the medians. Machines drift: only runs next to each other are compared.
func compare(ours, peer command, pairs int) (ratio, error) {
	var cpu, wall []float64
	var peak []int64
	for i := range pairs + 1 {
		a, err := ours.measure()
		if err != nil {
			return ratio{}, err
		}
		b, err := peer.measure()
		if err != nil {
			return ratio{}, err
		}
		if i == 0 {
			continue
		}
		cpu = append(cpu, a.cpu.Seconds()/b.cpu.Seconds())
		wall = append(wall, a.wall.Seconds()/b.wall.Seconds())
		peak = append(peak, a.peak)
	}
	return ratio{median(cpu), median(wall), slices.Max(peak)}, nil
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func tail(b []byte, n int) []byte {
	if len(b) > n {
		return b[len(b)-n:]
	}
	return b
}
