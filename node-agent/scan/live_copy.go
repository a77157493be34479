// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
)

// copied copies a live container's files for an engine that needs a directory: the path of its root is a magic link, and
// would lead an engine into what is mounted there.
func (s *Scanner) copied(ctx context.Context, as *opened) (release func(), err error) {
	work, release, err := s.workspace()
	if err != nil {
		return nil, &rootfs.Error{Reason: rootfs.ReasonTmpTooSmall, Message: "there is no place to copy a container's files to (--tmp-dir): " + err.Error()}
	}
	dir := filepath.Join(work, "rootfs")
	spent, err := copyTree(ctx, as.Image, dir, s.Tmp.room())
	if errors.Is(err, errNoRoom) {
		err = &rootfs.Error{Reason: rootfs.ReasonTmpTooSmall, Message: fmt.Sprintf(
			"the container's files do not fit into %s: %s", mebibytes(s.Tmp.room()), s.SetBy.RaiseTmp()+engine.Twice(s.Tmp.Limit))}
	}
	if err != nil {
		release()
		return nil, err
	}
	as.work, as.spent, as.directory = work, spent, func() (string, error) { return dir, nil }
	return release, nil
}

// copyTree copies directories, regular files and symlinks into dir and returns the bytes that they take. What is refused is left
// out, and counted by the image.
func copyTree(ctx context.Context, img *rootfs.Image, dir string, limit int64) (spent int64, err error) {
	fsys, err := img.FS(ctx)
	if err != nil {
		return 0, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	to, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer to.Close()
	err = fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case fsys.Err() != nil:
			return fsys.Err()
		case err != nil || name == ".":
			return nil // refused, or of another mount
		}
		const block = 4096
		if spent += block; limit > 0 && spent > limit {
			return errNoRoom
		}
		n, err := copyEntry(ctx, fsys, to, name, e, limit-spent, limit > 0)
		spent += n
		return err
	})
	return spent, err
}

var errNoRoom = errors.New("the container's files are larger than may be written")

// copyEntry copies one file of at most room bytes, where that is bounded.
func copyEntry(ctx context.Context, fsys rootfs.FS, to *os.Root, name string, e fs.DirEntry, room int64, bounded bool) (int64, error) {
	switch {
	case e.IsDir():
		return 0, to.Mkdir(name, 0o700)
	case e.Type()&fs.ModeSymlink != 0:
		target, err := fsys.ReadLink(name)
		if err != nil {
			return 0, nil
		}
		return 0, to.Symlink(target, name)
	case !e.Type().IsRegular():
		return 0, nil
	}
	in, err := fsys.Open(name)
	if err != nil {
		return 0, nil // refused, or of another mount
	}
	defer in.Close()
	// A file that a process of the user serves need not end.
	stop := context.AfterFunc(ctx, func() { in.Close() })
	defer stop()
	out, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	var from io.Reader = in
	if bounded {
		from = io.LimitReader(in, room+1)
	}
	n, err := io.Copy(out, from)
	err = errors.Join(err, out.Close())
	switch {
	case ctx.Err() != nil:
		return n, context.Cause(ctx)
	case bounded && n > room:
		return n, errNoRoom
	case errors.Is(err, syscall.ENOSPC):
		return n, &rootfs.Error{Reason: rootfs.ReasonTmpExhausted, Message: "the disk became full while a container's files were copied"}
	}
	return n, err
}
