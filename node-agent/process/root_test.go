// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rooms is a tree that tells roots, and counts how often what is seen mounted is read.
type rooms struct {
	*node
	of    map[int][]rootID // what is told of a process, one time after the other; the last for ever
	reads int
}

func (r *rooms) rootOf(pid int) (rootID, error) {
	told := r.of[pid]
	if len(told) == 0 {
		return rootID{}, errors.New("not yours")
	}
	if len(told) > 1 {
		r.of[pid] = told[1:]
	}
	return told[0], nil
}

func (r *rooms) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, "/mountinfo") {
		r.reads++
	}
	return r.node.Open(name)
}

func TestWhatProcessesOfOneRootSeeIsReadOnce(t *testing.T) {
	n := newNode()
	n.run(100, 4242, n.rootless())
	home, starter, inside := rootID{1, 20, 2}, rootID{2, 40, 2}, rootID{3, 60, 2}
	r := &rooms{node: n, of: map[int][]rootID{1: {home}, 100: {starter}, 101: {starter}, 102: {inside}}}
	const many = 50
	for pid := 1000; pid < 1000+many; pid++ {
		n.add(pid, 1, "bash", 4343, hostRoot)
		r.of[pid] = []rootID{home}
	}
	n.add(2000, 1, "unknown", 4343, hostRoot)
	found, err := Discover(t.Context(), r)
	if err != nil || len(found.Containers) != 1 || found.Processes != many+5 {
		t.Fatalf("%+v, %v", found, err)
	}
	if got := brief(found.Containers[0]); got != "starter 100 leader 102 user 4242 image" {
		t.Error(got)
	}
	if r.reads != 4 {
		t.Errorf("read %d times: for three roots, and one process of which nothing is told", r.reads)
	}
}

// hanging is a tree whose roots are on a file system that never answers.
type hanging struct {
	*node
	until chan struct{}
	asked atomic.Int32
}

func (h *hanging) rootOf(int) (rootID, error) {
	h.asked.Add(1)
	<-h.until
	return rootID{}, nil
}

func TestRootsThatNobodyTellsCostTheListingNothing(t *testing.T) {
	defer func(d time.Duration) { hangs = d }(hangs)
	hangs = time.Millisecond
	n := newNode()
	for pid := 100; pid < 200; pid += 10 {
		n.run(pid, 4242, n.rootless())
	}
	h := &hanging{node: n, until: make(chan struct{})}
	defer close(h.until)
	found, err := Discover(t.Context(), h)
	if asked := h.asked.Load(); err != nil || len(found.Containers) != 10 || asked > maxHung {
		t.Errorf("%d containers, %v, and %d are waited for", len(found.Containers), err, asked)
	}
}

// Who changes his root while he is looked at gives nobody else the new one.
func TestARootThatIsLeftMeanwhileIsNobodyElses(t *testing.T) {
	n := newNode()
	m := n.rootless()
	n.run(100, 4242, m)
	shared, own := rootID{1, 20, 2}, rootID{2, 40, 2}
	n.add(30, 100, "mover", 4242, m.container()) // as it is when it is read
	n.add(40, 100, "stays", 4242, hostRoot)
	found, err := Discover(t.Context(), &rooms{node: n, of: map[int][]rootID{30: {shared, own}, 40: {shared}}})
	if err != nil || len(found.Containers) != 1 || slices.Contains(found.Containers[0].Processes, 40) {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestWhatIsReadOfMountsIsBoundedAndWhatIsLeftOutIsCounted(t *testing.T) {
	defer func(n int) { maxRead = n }(maxRead)
	maxRead = 64 << 10
	n := newNode()
	n.run(100, 4242, n.rootless())
	const many = 40
	for pid := 2000; pid < 2000+many; pid++ { // each in a namespace of his own
		n.add(pid, 1, "mounter", 4343, hostRoot+strings.Repeat(fmt.Sprintf("99 21 0:%d / /tmp/x rw - tmpfs tmpfs rw\n", pid), 100))
	}
	r := &rooms{node: n}
	found, err := Discover(t.Context(), r)
	if err != nil || len(found.Containers) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	if size := len(n.MapFS["2000/mountinfo"].Data); r.reads > 4+maxRead/size+1 || found.Left != many+4-r.reads {
		t.Errorf("%d reads of %d bytes, %d left out", r.reads, size, found.Left)
	}
}

// ending is a tree with which the context ends when a file of a process is opened.
type ending struct {
	*node
	at     string
	end    context.CancelCauseFunc
	opened int // since
}

func (e *ending) Open(name string) (fs.File, error) {
	if name == e.at {
		e.end(errors.New("time is up"))
		e.opened = 0
	}
	e.opened++
	return e.node.Open(name)
}

func TestAListingEndsWithItsContext(t *testing.T) {
	for _, at := range []string{
		"1/mountinfo", // processes are looked at
		"102/cgroup",  // containers are described
	} {
		n := newNode()
		for pid := 100; pid < 400; pid += 10 {
			n.run(pid, 4242, n.rootless())
		}
		ctx, end := context.WithCancelCause(t.Context())
		e := &ending{node: n, at: at, end: end}
		found, err := Discover(ctx, e)
		end(nil)
		if err == nil || err.Error() != "time is up" || len(found.Containers) != 0 {
			t.Errorf("%s: %d containers, %v", at, len(found.Containers), err)
		}
		if e.opened > 5 { // those of the one that was looked at
			t.Errorf("%s: %d files were opened afterwards", at, e.opened)
		}
	}
}

// endless is a tree with a process that sees mounts without end, which come byte by byte.
type endless struct {
	*node
	end   context.CancelCauseFunc
	reads int
}

type endlessFile struct {
	fs.File
	of *endless
}

func (e *endless) Open(name string) (fs.File, error) {
	f, err := e.node.Open(name)
	if name == "102/mountinfo" {
		return endlessFile{f, e}, err
	}
	return f, err
}

func (f endlessFile) Read(b []byte) (int, error) {
	if f.of.reads++; f.of.reads == 100 {
		f.of.end(errors.New("time is up"))
	}
	b[0] = '\n'
	return 1, nil
}

func TestAListingEndsWithItsContextWhileItReadsMounts(t *testing.T) {
	n := newNode()
	n.run(100, 4242, n.rootless()) // the last process of all
	ctx, end := context.WithCancelCause(t.Context())
	e := &endless{node: n, end: end}
	if found, err := Discover(ctx, e); err == nil || err.Error() != "time is up" || e.reads > 100 {
		t.Errorf("%+v, %v after %d reads", found, err, e.reads)
	}
}

func TestProcessesHaveOneRootIfTheySeeTheSameMounts(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root makes namespaces and changes roots here")
	}
	const sleep = "echo; exec sleep infinity"
	started := map[string]int{}
	id := func(name string) rootID {
		t.Helper()
		id, err := kernel{}.rootOf(started[name])
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	start := func(name, root string, args ...string) {
		t.Helper()
		c := exec.Command(args[0], args[1:]...)
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Chroot: root}
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
		if _, err := out.Read(make([]byte, 1)); err != nil { // it is where it wants to be
			t.Fatal(err)
		}
		started[name] = c.Process.Pid
	}
	dir := t.TempDir()
	start("ours", "", "/bin/sh", "-c", sleep)
	start("ours again", "", "/bin/sh", "-c", sleep)
	start("a directory of ours", "/usr", "/bin/sh", "-c", sleep) // Debian's has all that a shell needs: /bin and /lib are links into it
	start("another namespace's", "", "unshare", "--mount", "sh", "-c", "mount --rbind / $0; "+sleep, dir)
	other := fmt.Sprintf("/proc/%d/", started["another namespace's"])
	start("another namespace's, in ours", other+"root", "/bin/sh", "-c", sleep)
	start("a second mount of another namespace's", "", "nsenter", "--mount="+other+"ns/mnt", "chroot", dir, "sh", "-c", sleep)
	if id("ours") != id("ours again") {
		t.Errorf("%+v and %+v", id("ours"), id("ours again"))
	}
	delete(started, "ours again")
	seen := map[rootID]string{}
	for name := range started {
		if other := seen[id(name)]; other != "" {
			t.Errorf("%s root is %s: %+v", name, other, id(name))
		}
		seen[id(name)] = name
	}
}
