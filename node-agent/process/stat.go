// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"strconv"
)

// Identity names a process for good: its number is given again, but not with the same start.
type Identity struct {
	PID int `json:"pid"`
	// Start in clock ticks since boot.
	Start uint64 `json:"start"`
}

// process is what /proc/PID/stat says.
type process struct {
	Identity
	parent int
	// ignore kernel threads, which see the mounts of the node a thousand times, and zombies, which see none.
	ignore bool
	view   *view
}

// kernelThread is PF_KTHREAD of include/linux/sched.h.
const kernelThread = 0x00200000

// parseStat parses proc_pid_stat(5). The name in it is the user's and may hold brackets and newlines: it
// ends at the last bracket.
func parseStat(text []byte) (p process, ok bool) {
	end := bytes.LastIndexByte(text, ')')
	open := bytes.IndexByte(text, '(')
	if end < 0 || open < 0 {
		return p, false
	}
	fields := bytes.Fields(text[end+1:])
	const state, parent, flags, start = 0, 1, 6, 19 // of those behind the name
	if len(fields) <= start {
		return p, false
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text[:open])))
	if err != nil {
		return p, false
	}
	p.PID = pid
	if p.parent, err = strconv.Atoi(string(fields[parent])); err != nil {
		return p, false
	}
	if p.Start, err = strconv.ParseUint(string(fields[start]), 10, 64); err != nil {
		return p, false
	}
	bits, err := strconv.ParseUint(string(fields[flags]), 10, 64)
	p.ignore = bits&kernelThread != 0 || len(fields[state]) > 0 && (fields[state][0] == 'Z' || fields[state][0] == 'X')
	return p, err == nil
}

// parseUser returns the real user id of proc_pid_status(5).
func parseUser(status []byte) (int64, bool) {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("Uid:")); ok {
			fields := bytes.Fields(rest)
			if len(fields) == 0 {
				return 0, false
			}
			n, err := strconv.ParseInt(string(fields[0]), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// parseBoot returns when the node was booted, in seconds since 1970, of proc_stat(5).
func parseBoot(stat []byte) (int64, bool) {
	for line := range bytes.Lines(stat) {
		if rest, ok := bytes.CutPrefix(line, []byte("btime ")); ok {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
