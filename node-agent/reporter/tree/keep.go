// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"strconv"

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
	err = unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(file.Fd())), f.dir.fd, name, unix.AT_SYMLINK_FOLLOW)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EMLINK), errors.Is(err, unix.EXDEV):
		return f.copy(name, file, size, sum)
	}
	return f.dir.failed("link", name, err)
}

// intact opens a file that has this size and SHA-256. What is read of it is read from its end on.
func (d *directory) intact(name string, size int64, sum [sha256.Size]byte) (*os.File, error) {
	file, err := d.open(name, size)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(file, size+1))
	switch {
	case err != nil:
		err = d.failed("read", name, err)
	case n != size || [sha256.Size]byte(hash.Sum(nil)) != sum:
		err = d.failed("keep", name, errChanged)
	default:
		return file, nil
	}
	file.Close()
	return nil, err
}

// Check says whether a file of the folder at p has this size and SHA-256.
func (t *Tree) Check(p Place, name string, size int64, sum [sha256.Size]byte) error {
	folder, err := t.folder(p)
	if err != nil {
		return err
	}
	defer folder.close()
	file, err := folder.intact(name, size, sum)
	if err != nil {
		return err
	}
	return file.Close()
}

// copy is Keep where files cannot be linked.
func (f *Folder) copy(name string, file *os.File, size int64, sum [sha256.Size]byte) error {
	hash := sha256.New()
	err := f.File(name, func(w io.Writer) error {
		_, err := file.Seek(0, io.SeekStart)
		if err == nil {
			_, err = io.Copy(io.MultiWriter(w, hash), io.LimitReader(file, size))
		}
		return err
	})
	if err == nil && [sha256.Size]byte(hash.Sum(nil)) != sum {
		err = f.dir.failed("copy", name, errChanged)
	}
	return err
}

// Sizes are those of files in the folder at p, of names that are regular files there.
func (t *Tree) Sizes(p Place, names []string) (map[string]int64, error) {
	folder, err := t.folder(p)
	if err != nil {
		return nil, err
	}
	defer folder.close()
	sizes := make(map[string]int64, len(names))
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Fstatat(folder.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			sizes[name] = st.Size
		}
	}
	return sizes, nil
}
