// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tree keeps results on a volume that people browse, and that others may write to:
//
//	<subPath>/
//	  .incoming/<writer>/                   what is being written
//	  <claim>/<directories of the image's path>/<image>@<report>/
//	    report.json, sbom.spdx.json, …
//
// A folder appears complete and takes the place of the one before in one step. Whoever else writes
// to the volume can put links, pipes and directories of their own in the way; none is followed,
// opened or trusted.
//
// Every step takes one name from the descriptor of the directory it is in, with O_NOFOLLOW: what
// openat2(RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS) would confine never leaves the directory in the
// first place, and no seccomp profile or kernel before 5.6 stands in the way.
package tree

import (
	"errors"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// incoming holds what is being written. No claim's name begins with a dot.
const incoming = ".incoming"

// Modes of what is made, less the umask. Nobody but the scan's user and group reads what names
// private files.
const (
	dirMode  = 0o750
	fileMode = 0o640
)

// Tree is a tree on a volume. It holds nothing open: a volume that went away and came back needs
// no new Tree.
type Tree struct {
	dir     string
	subPath []string
	writer  string
}

// New returns the tree below subPath, a path without "..", of the volume mounted at dir. No two
// processes may have the same writer, a file name, at a time; the next one with it removes what
// one that died left.
func New(dir, subPath, writer string) *Tree {
	t := &Tree{dir: dir, writer: writer}
	if p := strings.Trim(path.Clean("/"+subPath), "/"); p != "" {
		t.subPath = strings.Split(p, "/")
	}
	return t
}

// VolumePath is the path of a file in the folder at p from the volume's root.
func (t *Tree) VolumePath(p Place, name string) string {
	return path.Join(path.Join(t.subPath...), p.String(), name)
}

// Folder is a folder that is being written.
type Folder struct {
	dir *directory
	// top of the tree, where the folder that this one takes the place of is at place.
	top   *directory
	place Place
	// files that were put into it.
	files []string
}

// Put makes the folder at p of what fill writes into it. The folder there before is replaced once
// the new one is complete and on the disk; if anything fails it stays. Errors are of type *Error.
func (t *Tree) Put(p Place, fill func(*Folder) error) error {
	top, err := t.top()
	if err != nil {
		return err
	}
	defer top.close()
	staging, err := top.descend(incoming, t.writer)
	if err != nil {
		return err
	}
	defer staging.close()
	name := p.folder()
	folder, err := staging.fresh(name)
	if err != nil {
		return err
	}
	defer folder.close()
	f := &Folder{dir: folder, top: top, place: p}
	if err := errors.Join(fill(f), folder.sync()); err != nil {
		return errors.Join(err, staging.remove(name))
	}
	home, err := top.descend(p.directories()...)
	if err != nil {
		return errors.Join(err, staging.remove(name))
	}
	defer home.close()
	if err := staging.replace(name, home); err != nil {
		return errors.Join(err, staging.remove(name))
	}
	_ = staging.removeFolder(name, f.files) // the old folder: if it cannot go now, Tidy or the next Put says so
	return home.sync()
}

// File writes a file of the folder. It is on the disk when File returns.
func (f *Folder) File(name string, write func(io.Writer) error) error {
	f.files = append(f.files, name)
	fd, err := retry(func() (int, error) {
		return unix.Openat(f.dir.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, fileMode)
	})
	if err != nil {
		return f.dir.failed("create", name, err)
	}
	out := file(fd)
	err = write(out)
	if err == nil {
		err = out.sync()
	}
	if closed := out.Close(); err == nil { // NFS and quotas may tell only now
		err = closed
	}
	if err != nil {
		return f.dir.failed("write", name, err)
	}
	return nil
}
