// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Dir is where the kernel shows processes.
const Dir = "/proc"

// Node is the processes of this machine, or of the pod's where it does not share the node's.
func Node() fs.FS { return kernel{os.DirFS(Dir)} }

// kernel is the tree itself.
type kernel struct{ fs.FS }

// rootID tells what a process sees mounted, for the kernel writes its mountinfo of nothing else (fs/proc_namespace.c): the mounts of
// its namespace that are below its root directory.
type rootID struct {
	namespace uint64
	mount     uint64
	inode     uint64
}

// rooted is a tree that tells a process's root without reading its mounts.
type rooted interface {
	rootOf(pid int) (rootID, error)
}

var errNoMount = errors.New("the kernel does not tell the mounts of files")

// rootOf opens nothing, and the root's file system, which a process of the user may serve, is not asked for news. It takes the right to
// trace the process, and Linux 5.8.
func (kernel) rootOf(pid int) (rootID, error) {
	dir := fmt.Sprintf("%s/%d/", Dir, pid)
	var namespace unix.Stat_t
	if err := unix.Stat(dir+"ns/mnt", &namespace); err != nil {
		return rootID{}, err
	}
	const tells = unix.STATX_INO | unix.STATX_MNT_ID
	var root unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir+"root", unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, tells, &root)
	if err == nil && root.Mask&tells != tells {
		err = errNoMount
	}
	return rootID{namespace.Ino, root.Mnt_id, root.Ino}, err
}
