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
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
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
	if err := errors.Join(fill(&Folder{folder, top, p}), folder.sync()); err != nil {
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
	_ = staging.remove(name) // the old folder: if it cannot go now, Tidy or the next Put says so
	return home.sync()
}

// File writes a file of the folder. It is on the disk when File returns.
func (f *Folder) File(name string, write func(io.Writer) error) error {
	fd, err := retry(func() (int, error) {
		return unix.Openat(f.dir.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, fileMode)
	})
	if err != nil {
		return f.dir.failed("create", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil { // NFS and quotas may tell only now
		err = closed
	}
	if err != nil {
		return f.dir.failed("write", name, err)
	}
	return nil
}

// Replace replaces a file of the folder at p, which is there, in one step. The file is on the disk when Replace returns.
func (t *Tree) Replace(p Place, name string, write func(io.Writer) error) error {
	top, err := t.top()
	if err != nil {
		return err
	}
	defer top.close()
	folder, err := top.find(p...)
	if err != nil {
		return err
	}
	defer folder.close()
	staging, err := top.descend(incoming, t.writer)
	if err != nil {
		return err
	}
	defer staging.close()
	if err := staging.remove(name); err != nil { // of a try that failed
		return err
	}
	if err := (&Folder{dir: staging}).File(name, write); err != nil {
		return errors.Join(err, staging.remove(name))
	}
	if err := unix.Renameat(staging.fd, name, folder.fd, name); err != nil {
		return errors.Join(folder.failed("put in place", name, err), staging.remove(name))
	}
	return folder.sync()
}

// folder opens the folder at p, which is there. Its owner closes it.
func (t *Tree) folder(p Place) (*directory, error) {
	top, err := t.top()
	if err != nil {
		return nil, err
	}
	defer top.close()
	return top.find(p...)
}

// Open opens a file of the folder at p. It must be a regular file of at most limit bytes that
// belongs to the scan's user. Where there is none, the error is os.ErrNotExist.
func (t *Tree) Open(p Place, name string, limit int64) (io.ReadCloser, error) {
	folder, err := t.folder(p)
	if err != nil {
		return nil, err
	}
	defer folder.close()
	f, err := folder.open(name, limit)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, limit), f}, nil
}

// open opens a file through a descriptor that was checked: opening a device can already do
// something, and a pipe waits for its other end. It had at most limit bytes when it was opened.
func (d *directory) open(name string, limit int64) (*os.File, error) {
	found, err := retry(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, d.failed("open", name, err)
	}
	defer unix.Close(found)
	var st unix.Stat_t
	if err := unix.Fstat(found, &st); err != nil {
		return nil, d.failed("stat", name, err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, d.failed("open", name, errNotFile)
	case !d.trusts(st.Uid):
		return nil, d.failed("open", name, foreign(st.Uid))
	case st.Size > limit:
		return nil, d.failed("open", name, fmt.Errorf("%d bytes are more than the %d that are read", st.Size, limit))
	}
	fd, err := retry(func() (int, error) {
		return unix.Open("/proc/self/fd/"+strconv.Itoa(found), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	})
	if err != nil {
		return nil, d.failed("open", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
