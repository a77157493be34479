// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"cmp"
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

// Found is what runs on a node.
type Found struct {
	// Containers by start, oldest first.
	Containers []Container
	// Processes that were looked at.
	Processes int
	// Left counts containers beyond MaxContainers, and processes with more mounts of a container's name than there is room for.
	Left int
}

// Discover finds the containers among the processes of a tree in the shape of /proc. What ends while it
// looks is left out. It fails only where the tree itself cannot be read.
func Discover(proc fs.FS) (Found, error) {
	t := &table{proc: proc, views: map[uint64]*view{}, seed: maphash.MakeSeed(), processes: map[int]*process{}}
	if err := t.read(); err != nil {
		return Found{}, err
	}
	found := Found{Processes: len(t.processes), Left: t.left}
	for _, group := range t.groups() {
		if len(found.Containers) == MaxContainers {
			found.Left++
			continue
		}
		if c, ok := t.container(group); ok {
			found.Containers = append(found.Containers, c)
		}
	}
	slices.SortFunc(found.Containers, func(a, b Container) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Leader.PID, b.Leader.PID))
	})
	return found, nil
}

// table is the processes of a node.
type table struct {
	proc      fs.FS
	seed      maphash.Seed
	views     map[uint64]*view // by the hash of the mountinfo: processes of one namespace share it
	processes map[int]*process
	boot      int64
	buffer    []byte
	kept      int // bytes of the views
	left      int // processes of which there was no room to keep what they see mounted
	hung      int // reads of a process's memory that nobody waits for any more
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
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			t.readProcess(pid)
		}
	}
	return nil
}

// readProcess reads a process; one that ended is none.
func (t *table) readProcess(pid int) {
	text, err := t.of(pid, "stat", maxSmall)
	p, ok := parseStat(text)
	if err != nil || !ok || p.PID != pid || p.ignore {
		return
	}
	text, err = t.of(pid, "mountinfo", maxMountinfo)
	if err != nil || len(text) == 0 {
		return
	}
	sum := maphash.Bytes(t.seed, text)
	if t.views[sum] == nil {
		v := parseView(text)
		if t.kept+v.size() > maxKept { // smaller ones may still fit
			t.left++
			return
		}
		t.kept += v.size()
		t.views[sum] = v
	}
	p.view = t.views[sum]
	t.processes[pid] = &p
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
	for n < limit {
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
	return t.buffer[:n], nil
}

// hangs is how long a read of a process's memory may take, and maxHung how many take longer until none is tried any more. Tests wait less.
var hangs = time.Second

const maxHung = 8

// memory reads a file that the kernel takes from the process's own memory, nil where that does not come. For it the kernel waits
// while the process itself waits for a page of a server that does not answer: ps(1) hangs on such a node, and what is read here is no
// more than hints and text to show.
func (t *table) memory(pid int, name string, limit int64) []byte {
	if t.hung == maxHung {
		return nil
	}
	read := make(chan []byte, 1)
	go func() {
		f, err := t.proc.Open(strconv.Itoa(pid) + "/" + name)
		if err != nil {
			read <- nil
			return
		}
		defer f.Close()
		text, _ := io.ReadAll(io.LimitReader(f, limit)) // what there is of it
		read <- text
	}()
	timer := time.NewTimer(hangs)
	defer timer.Stop()
	select {
	case text := <-read:
		return text
	case <-timer.C:
		t.hung++
		return nil
	}
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
