// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"strings"
	"time"
)

// Source says what a container's files come from.
type Source string

// The sources.
const (
	// FromImage is a SIF or squashfs file: its starter holds it open.
	FromImage Source = "image"
	// FromDirectory is a sandbox, an image that was unpacked, or an ext3 image: only the
	// container's own root shows the files.
	FromDirectory Source = "directory"
)

// Container is one container that is alive.
type Container struct {
	// ID names the container on its node as long as it lives.
	ID string `json:"id"`
	// Starter is the process that mounted the root and holds the image; zero where it is gone.
	Starter Identity `json:"starter,omitzero"`
	// Helpers of the starter serve its mounts: squashfuse holds the image open as well. At most maxHelpers.
	Helpers []Identity `json:"-"`
	// Leader is the first process in the container.
	Leader Identity `json:"leader"`
	// Processes in the container, first the Leader; at most maxProcesses.
	Processes []int `json:"processes"`
	// User is the real user id of the Leader on the node.
	User    int64     `json:"user"`
	Started time.Time `json:"started"`
	// Instance tells that it is no exec, as its starter's title says.
	Instance bool `json:"instance,omitempty"`
	// Writable tells that it has a layer that takes writes.
	Writable bool   `json:"writable,omitempty"`
	Source   Source `json:"source"`
	// FileSystem is the type of the mount that shows the image, as in mountinfo.
	FileSystem string `json:"fileSystem,omitempty"`
	Slurm      Slurm  `json:"slurm,omitzero"`
	// PodUID of the pod that it runs in.
	PodUID string `json:"podUID,omitempty"`
	// Command of the Leader: bounded, escaped, without what looks like a secret.
	Command string `json:"command,omitempty"`
	// Claimed is the image that the starter's title names, raw bytes: a hint to show where nothing better is known.
	Claimed string `json:"claimed,omitempty"`
	// Root is the container's root; Directory the mount that shows the image to the starter.
	Root, Directory Mount `json:"-"`
}

// Has tells whether pid is of the container: a process in it, or its starter.
func (c *Container) Has(pid int) bool {
	if c.Starter.PID == pid {
		return true
	}
	for _, p := range c.Processes {
		if p == pid {
			return true
		}
	}
	return false
}

// sourceOf tells by the mount at session/rootfs what the container's files come from.
func sourceOf(rootfs Mount) Source {
	switch {
	case rootfs.Type == "squashfs", rootfs.Type == "fuse", strings.HasPrefix(rootfs.Type, "fuse.squashfuse"):
		return FromImage
	}
	return FromDirectory
}
