// Package process runs daemons that outlive the program that starts them, and finds them again. A daemon is known by its process
// id together with its start time and the boot it belongs to, so that a process id that was given to somebody else in the meantime
// is never signalled.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ID is one process of this machine for all time. JSON field names are part of the record files.
type ID struct {
	PID int `json:"pid"`
	// StartTicks is field 22 of /proc/PID/stat: clock ticks between boot and the start of the process.
	StartTicks uint64 `json:"startTicks"`
	// Boot is /proc/sys/kernel/random/boot_id: ticks start again with each boot.
	Boot string `json:"boot"`
}

// Identify returns the identity of the process that has the number pid now.
func Identify(pid int) (ID, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ID{}, err
	}
	stat, err := readStat(pid)
	if err != nil {
		return ID{}, err
	}
	return ID{PID: pid, StartTicks: stat.startTicks, Boot: strings.TrimSpace(string(boot))}, nil
}

// Alive reports whether the process still runs. A zombie does not, because its parent may never collect it, unless it has other
// threads: the first thread of a killed process is a zombie while the others still hold its ports and files.
func (id ID) Alive() bool {
	if id.PID <= 0 {
		return false
	}
	now, err := Identify(id.PID)
	if err != nil || now != id {
		return false
	}
	stat, err := readStat(id.PID)
	return err == nil && (stat.threads > 1 || stat.state != 'Z' && stat.state != 'X')
}

// Signal sends a signal to the process and to no other; a process that is gone is no error.
func (id ID) Signal(signal syscall.Signal) error {
	// FindProcess takes a pidfd, so that what is checked below is what is signalled.
	target, err := os.FindProcess(id.PID)
	if err != nil {
		return err
	}
	defer target.Release() //nolint:errcheck // closes a descriptor
	if !id.Alive() {
		return nil
	}
	if err := target.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %v to process %d: %w", signal, id.PID, err)
	}
	return nil
}

// Wait returns when the process has ended. It asks again and again, because only a parent can wait for a process and the parent
// of a daemon is gone.
func (id ID) Wait(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for id.Alive() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d has not ended: %w", id.PID, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// stat is what is needed of /proc/PID/stat.
type stat struct {
	state      byte
	threads    uint64
	startTicks uint64
}

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(data)
}

// parseStat reads fields 3, 20 and 22 of proc(5)'s stat. They are counted from the last parenthesis, because the process chooses
// what stands between the parentheses.
func parseStat(data []byte) (stat, error) {
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, fmt.Errorf("unexpected content of a stat file: %q", data)
	}
	threads, err := strconv.ParseUint(fields[17], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("number of threads in a stat file: %w", err)
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("start time in a stat file: %w", err)
	}
	return stat{state: fields[0][0], threads: threads, startTicks: ticks}, nil
}
