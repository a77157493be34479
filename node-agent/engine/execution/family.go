package execution

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// family is every process that descends from the program, whatever group or session it moved to: the agent is a subreaper, so
// a process whose parent died becomes the agent's child and not init's.
type family struct {
	program int
	// others are children that the agent had before the program started.
	others map[int]bool
}

var subreaper = sync.OnceValue(func() error {
	return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
})

func newFamily() (*family, error) {
	if err := subreaper(); err != nil {
		return nil, fmt.Errorf("become the parent of orphans (prctl PR_SET_CHILD_SUBREAPER): %w", err)
	}
	f := &family{others: map[int]bool{}}
	for _, pid := range childrenOf(os.Getpid()) {
		f.others[pid] = true
	}
	return f, nil
}

// maxFamily bounds a look at a family that grows while it is looked at.
const maxFamily = 100_000

// members lists the processes of the family, parents before children; zombies too.
func (f *family) members() []int {
	var all []int
	for _, pid := range childrenOf(os.Getpid()) {
		if !f.others[pid] {
			all = append(all, pid)
		}
	}
	seen := map[int]bool{}
	for i := 0; i < len(all) && len(all) < maxFamily; i++ {
		if !seen[all[i]] {
			seen[all[i]] = true
			all = append(all, childrenOf(all[i])...)
		}
	}
	return all
}

// everyone lists the processes of the family like members, from the parents of all processes of the
// machine: the kernel's list of children leaves some out while others end (proc(5)), and whom it
// left out would live on.
func (f *family) everyone() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return f.members()
	}
	children := map[int][]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if state, parent := stateOf(pid); state != 0 {
			children[parent] = append(children[parent], pid)
		}
	}
	var all []int
	for _, pid := range children[os.Getpid()] {
		if !f.others[pid] {
			all = append(all, pid)
		}
	}
	for i := 0; i < len(all) && len(all) < maxFamily; i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// end kills the family and reaps those whose parent the agent became. The program itself is left as
// the zombie it is. Two looks in a row must find nobody: one may pass by a process that is being made.
func (f *family) end(within time.Duration) error {
	for deadline, quiet := time.Now().Add(within), 0; ; {
		left := f.kill()
		if quiet++; left > 0 {
			quiet = 0
		}
		if quiet == 2 {
			return nil
		}
		if left > 0 && time.Now().After(deadline) {
			return fmt.Errorf("%d processes did not end within %s", left, within)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// signal sends a signal to the program and those of its processes that stayed in its group.
func (f *family) signal(s unix.Signal) { _ = unix.Kill(-f.program, s) }

// kill kills whoever lives, and returns how many are not gone.
func (f *family) kill() (left int) {
	for _, pid := range f.everyone() {
		state, parent := stateOf(pid)
		switch {
		case pid == f.program:
			if state != 'Z' {
				left++
			}
		case state == 'Z' && parent == os.Getpid():
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
			left++ // its own children may be ours now
		case state != 'Z' && state != 0:
			left++
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	return left
}

// memory is how many bytes the family holds that are not files: what the kernel cannot take back.
func (f *family) memory() (sum int64) {
	for _, pid := range f.members() {
		sum += anonymousMemory(pid)
	}
	return sum
}

// childrenOf lists the children of all threads of a process (proc(5), /proc/pid/task/tid/children).
func childrenOf(pid int) []int {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil // it ended
	}
	var children []int
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

// stateOf returns the state letter and the parent of a process; 0 when it is gone.
func stateOf(pid int) (state byte, parent int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	// The name in parentheses may hold anything, parentheses too.
	_, rest, ok := bytes.Cut(text[bytes.LastIndexByte(text, ')')+1:], []byte(" "))
	if !ok || len(rest) < 3 {
		return 0, 0
	}
	if _, err := fmt.Sscanf(string(rest[1:]), "%d", &parent); err != nil {
		return 0, 0
	}
	return rest[0], parent
}

// anonymousMemory is RssAnon and RssShmem of /proc/pid/status, in bytes.
func anonymousMemory(pid int) (sum int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "RssAnon" && name != "RssShmem" {
			continue
		}
		var kib int64
		if _, err := fmt.Sscanf(value, "%d", &kib); err == nil {
			sum += kib << 10
		}
	}
	return sum
}

// full tells whether the file system of dir has no room left.
func full(dir string) bool {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return false
	}
	const least = 1 << 20
	return int64(min(fs.Bavail, 1<<40))*fs.Bsize < least
}
