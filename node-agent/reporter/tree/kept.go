// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Kept is a folder that is there. It is found once for all that is done in it: each directory on the way is opened, looked at
// and closed, and to find it anew for each file was a third of all calls to the kernel where images are matched again.
type Kept struct {
	tree     *Tree
	top, dir *directory
}

// Visit finds the folder at p, which visit must not keep. Errors are of type *Error, and os.ErrNotExist where there is none.
func (t *Tree) Visit(p Place, visit func(*Kept) error) error {
	top, err := t.top()
	if err != nil {
		return err
	}
	defer top.close()
	dir, err := top.find(p...)
	if err != nil {
		return err
	}
	defer dir.close()
	return visit(&Kept{t, top, dir})
}

// Open opens a file of the folder. It must be a regular file of at most limit bytes that belongs to the scan's user. Where there
// is none, the error is os.ErrNotExist.
func (k *Kept) Open(name string, limit int64) (io.ReadCloser, error) {
	f, _, err := k.dir.open(name, limit)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(f, limit), f}, nil
}

// Text reads a file of the folder that has at most limit bytes and this SHA-256, into buffer if that has room for it.
func (k *Kept) Text(name string, limit int64, sum [sha256.Size]byte, buffer []byte) ([]byte, error) {
	f, size, err := k.dir.open(name, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := slices.Grow(buffer[:0], int(size)+1)[:size+1]
	n, err := io.ReadFull(f, text)
	switch {
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF):
		return nil, k.dir.failed("read", name, err)
	case n != int(size), sha256.Sum256(text[:n]) != sum: // it grew, was cut, or has other bytes
		return nil, k.dir.failed("read", name, errChanged)
	}
	return text[:n], nil
}

// Check says whether a file of the folder has this size and SHA-256.
func (k *Kept) Check(name string, size int64, sum [sha256.Size]byte) error {
	f, err := k.dir.intact(name, size, sum)
	if err != nil {
		return err
	}
	return f.Close()
}

// Sizes are those of files in the folder, of names that are regular files there.
func (k *Kept) Sizes(names []string) map[string]int64 {
	sizes := make(map[string]int64, len(names))
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Fstatat(k.dir.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			sizes[name] = st.Size
		}
	}
	return sizes
}

// Replace replaces a file of the folder in one step. The file is on the disk when Replace returns.
func (k *Kept) Replace(name string, write func(io.Writer) error) error {
	staging, err := k.top.descend(incoming, k.tree.writer)
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
	if err := unix.Renameat(staging.fd, name, k.dir.fd, name); err != nil {
		return errors.Join(k.dir.failed("put in place", name, err), staging.remove(name))
	}
	return k.dir.sync()
}

// open opens a file through a descriptor that was checked: opening a device can already do
// something, and a pipe waits for its other end. It had size bytes, at most limit, when it was opened.
func (d *directory) open(name string, limit int64) (f file, size int64, err error) {
	found, err := retry(func() (int, error) {
		return unix.Openat(d.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return 0, 0, d.failed("open", name, err)
	}
	defer unix.Close(found)
	var st unix.Stat_t
	if err := unix.Fstat(found, &st); err != nil {
		return 0, 0, d.failed("stat", name, err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return 0, 0, d.failed("open", name, errNotFile)
	case !d.trusts(st.Uid):
		return 0, 0, d.failed("open", name, foreign(st.Uid))
	case st.Size > limit:
		return 0, 0, d.failed("open", name, fmt.Errorf("%d bytes are more than the %d that are read", st.Size, limit))
	}
	fd, err := retry(func() (int, error) {
		return unix.Open("/proc/self/fd/"+strconv.Itoa(found), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	})
	if err != nil {
		return 0, 0, d.failed("open", name, err)
	}
	return file(fd), st.Size, nil
}
