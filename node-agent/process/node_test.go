// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	hostRoot  = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n22 21 0:5 / /proc rw - proc proc rw\n"
	sessionAt = "/usr/local/var/apptainer/mnt/session"
)

// node is a tree in the shape of /proc.
type node struct {
	fstest.MapFS
	device int // of the last mount
}

func newNode() *node {
	n := &node{MapFS: fstest.MapFS{"stat": text("cpu 1 2 3\nbtime 1700000000\nprocesses 9\n")}, device: 100}
	n.add(1, 0, "systemd", 0, hostRoot)
	return n
}

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

// add adds a process whose start is its number in seconds since boot.
func (n *node) add(pid, parent int, name string, user int, mounts string) {
	dir := fmt.Sprint(pid, "/")
	n.MapFS[dir+"stat"] = text(fmt.Sprintf("%d (%s) S %d %d %d 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 %d 1000 10\n", pid, name, parent, pid, pid, pid*ticksPerSecond))
	n.MapFS[dir+"status"] = text(fmt.Sprintf("Name:\t%s\nUid:\t%d\t%d\t%d\t%d\n", name, user, user, user, user))
	n.MapFS[dir+"mountinfo"] = text(mounts)
	n.MapFS[dir+"cgroup"] = text("0::/user.slice/session-1.scope\n")
	n.MapFS[dir+"cmdline"] = text(name + "\x00")
	n.MapFS[dir+"environ"] = text("HOME=/home/u\x00")
}

func (n *node) set(pid int, file, content string) {
	n.MapFS[fmt.Sprint(pid, "/", file)] = text(content)
}

// mounts are what a starter mounts: the image, and the container's root over it.
type mounts struct{ image, final string }

// rootless is what Apptainer mounts without setuid: squashfuse, and the kernel's overlay.
func (n *node) rootless() mounts { return n.over("fuse.squashfuse_ll squashfuse_ll ro,user_id=4242") }

func (n *node) over(image string) mounts {
	n.device += 2
	return mounts{
		image: fmt.Sprintf("0:%d / %%s ro,nosuid - %s", n.device, image),
		final: fmt.Sprintf("0:%d / %%s ro,nodev - overlay overlay ro,lowerdir=%s/overlay-lowerdir:%s/rootfs,userxattr", n.device+1, sessionAt, sessionAt),
	}
}

// of the starter.
func (m mounts) starter() string {
	return hostRoot +
		"300 21 0:99 / " + sessionAt + " rw - tmpfs tmpfs rw\n" +
		"301 300 " + fmt.Sprintf(m.image, sessionAt+"/rootfs") + "\n" +
		"302 300 " + fmt.Sprintf(m.final, sessionAt+"/final") + "\n"
}

// container is what a process in it sees: its root, and what was bound into it.
func (m mounts) container() string {
	return "302 300 " + fmt.Sprintf(m.final, "/") + "\n" +
		"310 302 8:1 /home/u /home/u rw - ext4 /dev/sda1 rw\n" +
		"311 302 0:5 / /proc rw - proc proc rw\n"
}

// run adds a starter, its helper and the user's command; it returns the starter's number.
func (n *node) run(pid, user int, m mounts) int {
	n.add(pid, 1, "starter", user, m.starter())
	n.set(pid, "cmdline", "Apptainer runtime parent: a.sif\x00")
	n.add(pid+1, pid, "squashfuse_ll", user, m.starter())
	n.add(pid+2, pid, "python3", user, m.container())
	return pid
}

// bind is a sandbox without an overlay: the directory is mounted itself.
func bind(dir string) mounts {
	m := "8:1 " + dir + " %s ro,nosuid - ext4 /dev/sda1 rw"
	return mounts{image: m, final: m}
}

func discover(t *testing.T, n *node) []Container {
	t.Helper()
	found, err := Discover(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return found.Containers
}

// brief says of a container what tells it from others.
func brief(c Container) string {
	words := []string{fmt.Sprintf("starter %d leader %d user %d %s", c.Starter.PID, c.Leader.PID, c.User, c.Source)}
	if len(c.Processes) > 1 {
		words = append(words, fmt.Sprint("processes ", c.Processes))
	}
	if c.Instance {
		words = append(words, "instance")
	}
	if c.Writable {
		words = append(words, "writable")
	}
	return strings.Join(words, " ")
}
