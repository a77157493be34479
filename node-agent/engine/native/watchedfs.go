package native

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	scalibrfs "github.com/google/osv-scalibr/fs"

	"github.com/sifscan/sifscan-operator/node-agent/engine/osrelease"
)

// Bounds of a path that is entered. Linux opens no path longer than 4,096 bytes (PATH_MAX); squashfs can nest directories
// without end, and a recursive walk pays for the depth with its stack and for the length with quadratic memory.
const (
	maxPathLength = 4096
	maxPathDepth  = 512
)

// watchedFS is an image's file system as the extractors see it: every access ends when the scan does, what cannot be read
// becomes a warning instead of a line in scalibr's log, and bytes are counted. A name that is no UTF-8 is a name like any
// other here; whether it can be opened is up to the file system below (os.Root and os.DirFS refuse it, and then it is a
// warning).
type watchedFS struct {
	scalibrfs.FS
	scan    *scan
	exclude []string
}

// excludes returns directories as paths relative to the root, in the form the walk uses.
func excludes(dirs []string) []string {
	var list []string
	for _, dir := range dirs {
		if dir = strings.TrimPrefix(path.Clean("/"+dir), "/"); dir != "" {
			list = append(list, dir)
		}
	}
	return list
}

// check refuses a path that must not be entered.
func (w *watchedFS) check(op, name string) error {
	if err := w.scan.ctx.Err(); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	if len(name) > maxPathLength || strings.Count(name, "/") > maxPathDepth {
		err := fmt.Errorf("the path is longer than %d bytes or deeper than %d directories", maxPathLength, maxPathDepth)
		w.scan.warn(path.Dir(name), "a directory in it was not entered: "+err.Error())
		return &fs.PathError{Op: op, Path: name[:min(len(name), 256)], Err: err}
	}
	return nil
}

// failed notes that name could not be read. Absence is no failure: extractors ask for files that need not be there.
func (w *watchedFS) failed(name string, err error) error {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, io.EOF) && w.scan.ctx.Err() == nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		w.scan.warn(name, "cannot be read: "+err.Error())
	}
	return err
}

// Open opens a file or directory.
func (w *watchedFS) Open(name string) (fs.File, error) {
	if err := w.check("open", name); err != nil {
		return nil, err
	}
	if name == "etc/os-release" || name == "usr/lib/os-release" {
		return w.openOSRelease(name)
	}
	f, err := w.FS.Open(name)
	if err != nil {
		return nil, w.failed(name, err)
	}
	if dir, ok := f.(fs.ReadDirFile); ok {
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return &watchedDir{ReadDirFile: dir, fs: w, name: name}, nil
		}
	}
	return &watchedFile{File: f, fs: w, name: name}, nil
}

// Stat describes a file or directory.
func (w *watchedFS) Stat(name string) (fs.FileInfo, error) {
	if err := w.check("stat", name); err != nil {
		return nil, err
	}
	info, err := w.FS.Stat(name)
	return info, w.failed(name, err)
}

// ReadDir lists a directory; an excluded directory is empty.
func (w *watchedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := w.check("readdir", name); err != nil {
		return nil, err
	}
	if slices.Contains(w.exclude, name) {
		return nil, nil
	}
	entries, err := w.FS.ReadDir(name)
	return entries, w.failed(name, err)
}

// openOSRelease serves os-release rewritten with double quotes: scalibr's own parser reads it without a limit and takes
// single quotes, which RHEL's clones use, for a part of the value.
func (w *watchedFS) openOSRelease(name string) (fs.File, error) {
	f, err := w.FS.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	data, err := osrelease.Normalise(f)
	if err != nil {
		return nil, w.failed(name, err)
	}
	return &memoryFile{Reader: bytes.NewReader(data), info: info}, nil
}

// watchedFile is a regular file.
type watchedFile struct {
	fs.File
	fs   *watchedFS
	name string
}

func (f *watchedFile) Read(p []byte) (int, error) {
	if err := f.fs.check("read", f.name); err != nil {
		return 0, err
	}
	n, err := f.File.Read(p)
	f.fs.scan.bytes.Add(int64(n))
	return n, f.fs.failed(f.name, err)
}

// ReadAt reads at an offset; files of the image all can (scalibr's fs.FS asks for it).
func (f *watchedFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.check("read", f.name); err != nil {
		return 0, err
	}
	r, ok := f.File.(io.ReaderAt)
	if !ok {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: errors.ErrUnsupported}
	}
	n, err := r.ReadAt(p, off)
	f.fs.scan.bytes.Add(int64(n))
	return n, f.fs.failed(f.name, err)
}

// watchedDir is a directory that is listed piece by piece.
type watchedDir struct {
	fs.ReadDirFile
	fs   *watchedFS
	name string
}

func (d *watchedDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if err := d.fs.check("readdir", d.name); err != nil {
		return nil, err
	}
	if slices.Contains(d.fs.exclude, d.name) {
		return nil, io.EOF
	}
	entries, err := d.ReadDirFile.ReadDir(n)
	return entries, d.fs.failed(d.name, err)
}

// memoryFile is a file whose content is made here.
type memoryFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f *memoryFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *memoryFile) Close() error               { return nil }
