// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/process"
)

// Node is the opener of this machine, in this process.
type Node struct {
	proc fs.FS
	// pods whose containers are shown; empty: all.
	pods  []string
	stuck stuck

	mu     sync.Mutex
	listed map[string]Container
}

var _ Opener = (*Node)(nil)

// NewNode opens containers among the processes of proc. Where pods are named, only containers that run in one of them, by UID, are shown.
func NewNode(proc fs.FS, pods []string) *Node {
	return &Node{proc: proc, pods: pods, stuck: stuck{calls: map[int64]int{}}, listed: map[string]Container{}}
}

// Close does nothing: descriptors are taken one by one.
func (n *Node) Close() error { return nil }

// identifying containers at a time: each may wait for a file system. What is not identified after identifyWithin stays so: a user
// with subordinate ids (subuid(5)) is many users, each of whom may have some that wait, and the scanner does not wait for ever.
const (
	identifying    = 8
	identifyWithin = time.Minute
)

// discoverWithin is how long the processes of a node may be looked at: 2,000 take 0.2 s. With what it takes to identify their
// images it stays below what a client waits. Tests wait less.
var discoverWithin = 45 * time.Second

// List looks for containers and their images.
func (n *Node) List(ctx context.Context) (*Listing, error) {
	looking, stop := context.WithTimeoutCause(ctx, discoverWithin, &Error{Failed, fmt.Sprintf(
		"the processes of this node were not all looked at within %s: look for one that sees very many mounts (/proc/PID/mountinfo)", discoverWithin)})
	defer stop()
	found, err := process.Discover(looking, n.proc)
	if err != nil {
		return nil, explain(err)
	}
	l := &Listing{Processes: found.Processes, Left: found.Left}
	for _, c := range found.Containers {
		if len(n.pods) == 0 || slices.Contains(n.pods, c.PodUID) {
			l.Containers = append(l.Containers, Container{Container: c})
		}
	}
	var work errgroup.Group
	work.SetLimit(identifying)
	bounded, cancel := context.WithTimeoutCause(ctx, identifyWithin, &Error{Silent, "other images of this node took all the time that there is for their file systems to answer"})
	defer cancel()
	for i := range l.Containers {
		work.Go(func() error { n.identify(bounded, &l.Containers[i]); return ctx.Err() })
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	if err := preflight(l.Containers); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.listed)
	for _, c := range l.Containers {
		n.listed[c.ID] = c
	}
	return l, nil
}

// hasFile tells whether the container was started from a file that its starter holds, as an ext3 image is. A sandbox is none.
func hasFile(c *process.Container) bool {
	return c.Source == process.FromImage || strings.HasPrefix(c.Directory.Type, "fuse") || strings.HasPrefix(c.Directory.Source, "/dev/loop")
}

// identify says what image a container was started from.
func (n *Node) identify(ctx context.Context, c *Container) {
	image, err := within(ctx, &n.stuck, c.User, func() (Image, error) { return identify(&c.Container) })
	if err != nil {
		c.Problem = explain(err)
		image = Image{Path: printable.Escape(c.Claimed), Claimed: true}
	}
	c.Image = image
}

func identify(c *process.Container) (Image, error) {
	if c.Starter.PID == 0 {
		return orphanImage(c), nil
	}
	starter, err := process.Hold(c.Starter)
	if err != nil {
		return Image{}, err
	}
	defer starter.Close()
	mounts, err := starter.Mounts()
	if err != nil {
		return Image{}, err
	}
	if !hasFile(c) {
		return directoryImage(c, mounts), nil
	}
	h, err := findImage(c)
	var e *Error
	switch {
	case errors.As(err, &e) && e.Code == Missing && c.Source == process.FromDirectory:
		return directoryImage(c, mounts), nil // a sandbox on a FUSE of the user
	case err != nil:
		return Image{}, err
	}
	defer h.file.Close()
	return describe(h, mounts), nil
}

// Take opens what a container was started from, if it is still the one that was listed.
func (n *Node) Take(ctx context.Context, id string, what What) (*os.File, error) {
	n.mu.Lock()
	c, ok := n.listed[id]
	n.mu.Unlock()
	if !ok {
		return nil, &Error{Failed, "no such container was listed"}
	}
	open := takeRoot
	switch {
	case what == TheImage && hasFile(&c.Container):
		open = takeImage
	case what == TheImage:
		return nil, &Error{Missing, "the container was started from a directory"}
	}
	f, err := within(ctx, &n.stuck, c.User, func() (*os.File, error) { return open(&c) })
	if err == nil {
		return f, nil
	}
	said := explain(err)
	if said.Code == Denied {
		if by := refusedBy(c.Leader.PID); by != nil {
			said = explain(by)
		}
	}
	return nil, said
}

func takeImage(c *Container) (*os.File, error) {
	h, err := findImage(&c.Container)
	if err != nil {
		return nil, err
	}
	if !c.Image.is(h.file) {
		h.file.Close()
		return nil, &Error{Failed, "the container's starter holds another image than when it was listed"}
	}
	return readOnly(h.file)
}

// is tells whether a file is the image. On a file system of his own a user gives a file whatever number, size and times he
// likes, also those of somebody else's image: its mount he cannot choose.
func (i *Image) is(file *os.File) bool {
	mount, err := process.MountOf(file)
	inode := process.InodeOf(file)
	return err == nil && mount == i.mount && (inode == 0 || i.Inode == 0 || inode == i.Inode)
}

// takeRoot opens the root of the container's first process. What is found there is looked at again: a root that is not the
// container's may be anything, the node's too.
func takeRoot(c *Container) (*os.File, error) {
	p, err := process.Hold(c.Leader)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Root(c.Root)
}
