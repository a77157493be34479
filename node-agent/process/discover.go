// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"time"
)

const (
	// maxMountinfo of one process in bytes. A node with 2,000 pods' mounts has 1 MiB; a user may mount 100,000
	// times in a namespace (fs.mount-max), and that must not take the time of all others.
	maxMountinfo = 4 << 20
	maxSmall     = 64 << 10 // stat, status, cgroup
	maxEnviron   = 256 << 10
	// maxProcesses that are named of one container.
	maxProcesses = 1024
	maxHelpers   = 8
	// MaxContainers that are told of one node. A node that runs more has lost nothing: Found.Left counts them.
	MaxContainers = 10_000
	// ticksPerSecond is USER_HZ, which every architecture of Linux shows to user space.
	ticksPerSecond = 100
)

// maxKept bounds what is kept of all processes' mounts, in bytes. 2,000 containers take some MB; a user can make as many namespaces
// as processes, with paths as long as he likes. Tests keep less.
var maxKept = 64 << 20

// maxRead bounds what is read of all processes' mounts, in bytes: the kernel writes some 20 MiB of them a second. What processes of
// one root share is read once, where this process may ask; who may not reads it for each. Tests read less.
var maxRead = 512 << 20

// Found is what runs on a node.
type Found struct {
	// Containers by start, oldest first.
	Containers []Container
	// Processes that were looked at.
	Processes int
	// Left counts containers beyond MaxContainers, and processes whose mounts are beyond what is read or kept of all.
	Left int
}

// Discover finds the containers among the processes of a tree in the shape of /proc. What ends while it
// looks is left out. It fails where the tree itself cannot be read, and with the cause of ctx's end.
func Discover(ctx context.Context, proc fs.FS) (Found, error) {
	t := &table{ctx: ctx, proc: proc, views: map[uint64]*view{}, seed: maphash.MakeSeed(), roots: map[rootID]*view{}, processes: map[int]*process{}}
	t.asks, _ = proc.(rooted)
	if err := t.read(); err != nil {
		return Found{}, err
	}
	found := Found{Processes: len(t.processes), Left: t.left}
	for _, group := range t.groups() {
		if ctx.Err() != nil {
			break
		}
		if len(found.Containers) == MaxContainers {
			found.Left++
			continue
		}
		if c, ok := t.container(group); ok {
			found.Containers = append(found.Containers, c)
		}
	}
	if err := context.Cause(ctx); err != nil { // the files since then are cut off
		return Found{}, err
	}
	slices.SortFunc(found.Containers, func(a, b Container) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Leader.PID, b.Leader.PID))
	})
	return found, nil
}

// table is the processes of a node.
type table struct {
	ctx       context.Context // of the one call of Discover
	proc      fs.FS
	seed      maphash.Seed
	views     map[uint64]*view // by the hash of the mountinfo: processes of one namespace share it
	asks      rooted           // nil where the tree tells no roots
	roots     map[rootID]*view
	processes map[int]*process
	boot      int64
	buffer    []byte
	mounts    int // bytes of mountinfo that were read
	kept      int // bytes of the views
	left      int // processes of which what they see mounted is beyond these two
	hung      int // calls that nobody waits for any more
}

func (t *table) read() error {
	entries, err := fs.ReadDir(t.proc, ".")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	stat, err := t.file("stat", maxSmall)
	boot, ok := parseBoot(stat)
	if err != nil || !ok {
		return fmt.Errorf("read when the node was booted from /proc/stat: %w", cmp.Or(err, errors.ErrUnsupported))
	}
	t.boot = boot
	for _, e := range entries {
		if t.ctx.Err() != nil {
			break
		}
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			t.readProcess(pid)
		}
	}
	return context.Cause(t.ctx)
}

// readProcess reads a process; one that ended is none.
func (t *table) readProcess(pid int) {
	text, err := t.of(pid, "stat", maxSmall)
	p, ok := parseStat(text)
	if err != nil || !ok || p.PID != pid || p.ignore {
		return
	}
	if p.view = t.view(pid); p.view != nil {
		t.processes[pid] = &p
	}
}

// view is what a process sees mounted; nil where it ended, or where that is too much.
func (t *table) view(pid int) *view {
	root, known := t.rootOf(pid)
	if v := t.roots[root]; known && v != nil {
		return v
	}
	if t.mounts >= maxRead {
		t.left++
		return nil
	}
	text, err := t.of(pid, "mountinfo", maxMountinfo)
	if err != nil || len(text) == 0 {
		return nil
	}
	t.mounts += len(text)
	sum := maphash.Bytes(t.seed, text)
	v := t.views[sum]
	if v == nil {
		v = parseView(text)
		if t.kept+v.size() > maxKept { // smaller ones may still fit
			t.left++
			return nil
		}
		t.kept += v.size()
		t.views[sum] = v
	}
	// A process may change its root at any time: what was read must not become what others of its former root see.
	if still, ok := t.rootOf(pid); known && ok && still == root {
		t.roots[root] = v
	}
	return v
}

// rootOf asks with patience: servers of file systems that do not answer have made more wait than they should.
func (t *table) rootOf(pid int) (rootID, bool) {
	if t.asks == nil {
		return rootID{}, false
	}
	type told struct {
		root rootID
		ok   bool
	}
	got := patiently(t, func() told {
		root, err := t.asks.rootOf(pid)
		return told{root, err == nil}
	})
	return got.root, got.ok
}

func (t *table) of(pid int, name string, limit int) ([]byte, error) {
	return t.file(strconv.Itoa(pid)+"/"+name, limit)
}

// file reads at most limit bytes. The result is good until the next call.
func (t *table) file(name string, limit int) ([]byte, error) {
	f, err := t.proc.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if t.buffer == nil {
		t.buffer = make([]byte, maxSmall)
	}
	n := 0
	// 40,000 mounts on top of each other come at 0.6 MiB/s: the kernel goes down the whole pile for each.
	for n < limit && t.ctx.Err() == nil {
		if n == len(t.buffer) {
			t.buffer = append(t.buffer, make([]byte, len(t.buffer))...)
		}
		more, err := f.Read(t.buffer[n:min(limit, len(t.buffer))])
		n += more
		if err == io.EOF || more == 0 && err == nil {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return t.buffer[:n], context.Cause(t.ctx)
}

// hangs is how long may take what can wait for a file system, and maxHung how much takes longer until no more of it is tried. Tests
// wait less.
var hangs = time.Second

const maxHung = 8

// patiently returns the zero value where the call takes too long.
func patiently[T any](t *table, call func() T) (none T) {
	if t.hung == maxHung {
		return none
	}
	answer := make(chan T, 1)
	go func() { answer <- call() }()
	timer := time.NewTimer(hangs)
	defer timer.Stop()
	select {
	case got := <-answer:
		return got
	case <-timer.C:
		t.hung++
		return none
	}
}

// memory reads a file that the kernel takes from the process's own memory, nil where that does not come. For it the kernel waits
// while the process itself waits for a page of a server that does not answer: ps(1) hangs on such a node, and what is read here is no
// more than hints and text to show.
func (t *table) memory(pid int, name string, limit int64) []byte {
	return patiently(t, func() []byte {
		f, err := t.proc.Open(strconv.Itoa(pid) + "/" + name)
		if err != nil {
			return nil
		}
		defer f.Close()
		text, _ := io.ReadAll(io.LimitReader(f, limit)) // what there is of it
		return text
	})
}

// container describes a group by its first process.
func (t *table) container(g *group) (Container, bool) {
	leader := g.members[0]
	c := Container{
		Leader:     leader.Identity,
		User:       g.user,
		Writable:   g.session.final.writable(),
		Source:     FromDirectory,
		FileSystem: g.session.rootfs.Type,
		Root:       leader.view.root,
		Directory:  g.session.rootfs,
	}
	oldest := leader
	if s := g.starter; s != nil {
		oldest = s
		c.Starter = s.Identity
		c.Source = sourceOf(g.session.rootfs)
		for _, h := range g.helpers[:min(len(g.helpers), maxHelpers)] {
			c.Helpers = append(c.Helpers, h.Identity)
		}
		title := t.memory(s.PID, "cmdline", maxCommand)
		c.Instance, c.Claimed = isInstance(title), claimedImage(title)
	}
	c.ID = fmt.Sprintf("%d-%d-%s", oldest.PID, oldest.Start, c.Root.Device)
	c.Started = time.Unix(t.boot, 0).Add(time.Duration(oldest.Start) * (time.Second / ticksPerSecond)).UTC()
	for _, p := range g.members[:min(len(g.members), maxProcesses)] {
		c.Processes = append(c.Processes, p.PID)
	}
	if text, err := t.of(leader.PID, "cgroup", maxSmall); err == nil {
		c.Slurm, c.PodUID = parseCgroup(text)
	}
	c.Command = showCommand(t.memory(leader.PID, "cmdline", maxCommand))
	if c.Slurm.Job == "" {
		c.Slurm = claimedSlurm(t.memory(leader.PID, "environ", maxEnviron))
	}
	// What was read is of this process only if it is still the same.
	text, err := t.of(leader.PID, "stat", maxSmall)
	now, ok := parseStat(text)
	return c, err == nil && ok && now.Identity == leader.Identity && c.User >= 0
}
