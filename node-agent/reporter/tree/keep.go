// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"crypto/sha256"
	"errors"
	"io"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Keep gives the folder a file of the one that it takes the place of, as it is: it must have the size and the SHA-256. Where
// the file system cannot link files it is copied. The file is the one that was read: nobody can exchange it between.
func (f *Folder) Keep(name string, size int64, sum [sha256.Size]byte) error {
	before, err := f.top.find(f.place...)
	if err != nil {
		return err
	}
	defer before.close()
	file, err := before.intact(name, size, sum)
	if err != nil {
		return err
	}
	defer file.Close()
	err = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(file)), f.dir.fd, name, unix.AT_SYMLINK_FOLLOW)
	switch {
	case err == nil:
		f.files = append(f.files, name)
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EMLINK), errors.Is(err, unix.EXDEV):
		return f.copy(name, file, size, sum)
	}
	return f.dir.failed("link", name, err)
}

// intact opens a file that has this size and SHA-256. What is read of it is read from its end on.
func (d *directory) intact(name string, size int64, sum [sha256.Size]byte) (file, error) {
	f, _, err := d.open(name, size)
	if err != nil {
		return 0, err
	}
	hash := sha256.New()
	n, err := Copy(hash, io.LimitReader(f, size+1))
	switch {
	case err != nil:
		err = d.failed("read", name, err)
	case n != size || [sha256.Size]byte(hash.Sum(nil)) != sum:
		err = d.failed("keep", name, errChanged)
	default:
		return f, nil
	}
	f.Close()
	return 0, err
}

// buffers are what files are copied through. io.Copy makes one of 32 KiB for each, and is eight times as often in the kernel.
var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// Copy is io.Copy.
func Copy(to io.Writer, from io.Reader) (int64, error) {
	b := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(b)
	return io.CopyBuffer(to, from, b[:])
}

// copy is Keep where files cannot be linked.
func (f *Folder) copy(name string, in file, size int64, sum [sha256.Size]byte) error {
	hash := sha256.New()
	err := f.File(name, func(w io.Writer) error {
		_, err := unix.Seek(int(in), 0, io.SeekStart)
		if err == nil {
			_, err = Copy(io.MultiWriter(w, hash), io.LimitReader(in, size))
		}
		return err
	})
	if err == nil && [sha256.Size]byte(hash.Sum(nil)) != sum {
		err = f.dir.failed("copy", name, errChanged)
	}
	return err
}
