package rootfs

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sifscan/sifscan-operator/node-agent/squashfs"
)

// squashFS shows a squashfs.Reader as an FS.
type squashFS struct {
	img *Image
	r   *squashfs.Reader
	failures
}

// failures keeps the first error that is not about a name.
type failures struct{ first atomic.Pointer[error] }

func (f *failures) Err() error {
	if p := f.first.Load(); p != nil {
		return *p
	}
	return nil
}

func (f *failures) keep(err error) error {
	if err != nil {
		f.first.CompareAndSwap(nil, &err)
	}
	return err
}

func newSquashFS(img *Image) *squashFS { return &squashFS{img: img, r: img.sqfs} }

// fail wraps an error as io/fs wants it, and keeps it when it is about the image.
func (s *squashFS) fail(op, name string, err error) error {
	if !aboutName(err) {
		err = s.keep(s.img.explain(err))
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// resolve finds what a name of io/fs means.
func (s *squashFS) resolve(op, name string, follow bool) (*squashfs.Inode, error) {
	if !validName(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	inode, err := s.r.Resolve(name, follow)
	if err != nil {
		return nil, s.fail(op, name, err)
	}
	return inode, nil
}

func (s *squashFS) Open(name string) (fs.File, error) {
	inode, err := s.resolve("open", name, true)
	if err != nil {
		return nil, err
	}
	info := fileInfo{path.Base(name), inode}
	switch inode.Type {
	case squashfs.Regular:
		f, err := s.r.Open(inode)
		if err != nil {
			return nil, s.fail("open", name, err)
		}
		return &file{fs: s, name: name, info: info, data: f}, nil
	case squashfs.Directory:
		d, err := s.r.ReadDir(inode)
		if err != nil {
			return nil, s.fail("open", name, err)
		}
		return &directory{fs: s, name: name, info: info, entries: d}, nil
	}
	return &special{name: name, info: info}, nil
}

func (s *squashFS) Stat(name string) (fs.FileInfo, error)  { return s.stat("stat", name, true) }
func (s *squashFS) Lstat(name string) (fs.FileInfo, error) { return s.stat("lstat", name, false) }

func (s *squashFS) stat(op, name string, follow bool) (fs.FileInfo, error) {
	inode, err := s.resolve(op, name, follow)
	if err != nil {
		return nil, err
	}
	return fileInfo{path.Base(name), inode}, nil
}

// ReadLink returns the target of a symlink as the image has it, absolute or not.
func (s *squashFS) ReadLink(name string) (string, error) {
	inode, err := s.resolve("readlink", name, false)
	if err != nil {
		return "", err
	}
	if inode.Type != squashfs.Symlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	target, err := s.r.Readlink(inode)
	if err != nil {
		return "", s.fail("readlink", name, err)
	}
	return target, nil
}

func (s *squashFS) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := s.Open(name)
	if err != nil {
		return nil, err
	}
	d, ok := f.(*directory)
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDirectory}
	}
	return d.ReadDir(-1)
}

// fileInfo is what Stat returns.
type fileInfo struct {
	name  string
	inode *squashfs.Inode
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.inode.Size }
func (i fileInfo) Mode() fs.FileMode  { return i.inode.Mode() }
func (i fileInfo) ModTime() time.Time { return i.inode.ModTime() }
func (i fileInfo) IsDir() bool        { return i.inode.Type == squashfs.Directory }
func (i fileInfo) Sys() any           { return i.inode }

// dirEntry is a name of a directory; its inode is read when asked for.
type dirEntry struct {
	fs    *squashFS
	entry squashfs.Entry
}

func (e *dirEntry) Name() string      { return e.entry.Name }
func (e *dirEntry) IsDir() bool       { return e.entry.Type == squashfs.Directory }
func (e *dirEntry) Type() fs.FileMode { return e.entry.Type.Bits() }
func (e *dirEntry) String() string    { return fs.FormatDirEntry(e) }

func (e *dirEntry) Info() (fs.FileInfo, error) {
	inode, err := e.fs.r.EntryInode(e.entry)
	if err != nil {
		return nil, e.fs.fail("lstat", e.entry.Name, err)
	}
	return fileInfo{e.entry.Name, inode}, nil
}

// maxEntries bounds what ReadDir(-1) holds at a time, to some 60 MiB. Reading a
// directory piece by piece has no such limit, and scalibr does so.
const maxEntries = 500_000

// directory is an opened directory.
type directory struct {
	fs      *squashFS
	name    string
	info    fileInfo
	mu      sync.Mutex
	entries *squashfs.Dir
	done    error // how the listing ended
}

func (d *directory) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *directory) Close() error               { return nil }
func (d *directory) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errIsDirectory}
}

func (d *directory) ReadDir(n int) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []fs.DirEntry
	for d.done == nil && (n <= 0 || len(list) < n) {
		e, err := d.entries.Next()
		if err != nil {
			if err != io.EOF {
				err = d.fs.fail("readdir", d.name, err)
			}
			d.done = err
			break
		}
		if n <= 0 && len(list) == maxEntries {
			return list, d.fs.fail("readdir", d.name, unsupported("more than %d entries in one directory", maxEntries))
		}
		list = append(list, &dirEntry{d.fs, e})
	}
	if n <= 0 && d.done == io.EOF || n > 0 && len(list) > 0 {
		return list, nil
	}
	return list, d.done
}

// special is an opened device node, FIFO or socket: there is nothing to read.
type special struct {
	name string
	info fileInfo
}

func (s *special) Stat() (fs.FileInfo, error) { return s.info, nil }
func (s *special) Close() error               { return nil }
func (s *special) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: s.name, Err: errors.ErrUnsupported}
}

// file is an opened regular file.
type file struct {
	fs   *squashFS
	name string
	info fileInfo
	data *squashfs.File

	mu  sync.Mutex
	pos int64
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: fs.ErrInvalid}
	}
	n, err := f.data.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = f.fs.fail("read", f.name, err)
	}
	return n, err
}

func (f *file) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += f.data.Size()
	}
	if offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return 0, &fs.PathError{Op: "seek", Path: f.name, Err: fs.ErrInvalid}
	}
	f.pos = offset
	return offset, nil
}
