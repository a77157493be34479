package rootfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/squashfs"
)

// sandbox is a directory on disk as an FS. All names are resolved by the kernel
// with the directory as their root (openat2 RESOLVE_IN_ROOT), so that links lead
// back into it, even while somebody exchanges directories.
type sandbox struct {
	root *os.File
	read atomic.Int64
	failures
}

// OpenDirectory opens a sandbox, or any directory, as an image. The image holds
// a descriptor until Close.
func OpenDirectory(dir string) (*Image, error) {
	root, err := os.Open(dir)
	if err != nil {
		return nil, translate(err)
	}
	st, err := root.Stat()
	if err == nil && !st.IsDir() {
		err = unsupported("not a directory")
	}
	if err != nil {
		root.Close()
		return nil, translate(err)
	}
	img := &Image{dir: &sandbox{root: root}, info: Info{Format: FormatDirectory}}
	if st, err := img.dir.Lstat(".singularity.d"); err == nil && st.IsDir() {
		img.info.Format = FormatSandbox
		img.readSandboxText()
	}
	return img, nil
}

// readSandboxText takes the texts that a SIF has as objects.
func (img *Image) readSandboxText() {
	read := func(name string) []byte {
		f, err := img.dir.Open(name)
		if err != nil {
			return nil
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxTextObject+1))
		if err != nil || len(text) > maxTextObject {
			img.note("%s is not readable or larger than %d bytes", name, maxTextObject)
			return nil
		}
		return text
	}
	img.info.DefinitionFile = string(read(".singularity.d/Singularity"))
	if labels := read(".singularity.d/labels.json"); labels != nil {
		img.addLabels(labels)
	}
	img.info.Architecture = img.info.Labels["org.label-schema.build-arch"]
}

// Close releases what OpenDirectory holds. For other images it does nothing.
func (img *Image) Close() error {
	if img.dir != nil {
		return img.dir.root.Close()
	}
	return nil
}

func (s *sandbox) fail(op, name string, err error) error {
	if !aboutName(err) {
		err = s.keep(translate(err))
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// openat opens a name below the root; flags are of open(2).
func (s *sandbox) openat(op, name string, flags uint64) (*os.File, error) {
	if !validName(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(int(s.root.Fd()), name, &how)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), name), nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN): // a rename raced with the resolution
			continue
		case errors.Is(err, unix.ENOSYS):
			return nil, s.fail(op, name, unsupported("reading a directory needs openat2 (Linux 5.6), which this kernel or seccomp profile does not have"))
		}
		return nil, s.fail(op, name, err)
	}
}

func (s *sandbox) Open(name string) (fs.File, error) {
	// O_NONBLOCK: opening a FIFO must not wait for a writer.
	f, err := s.openat("open", name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return &sandboxFile{file: f, fs: s, name: name}, nil
}

func (s *sandbox) Stat(name string) (fs.FileInfo, error) {
	return s.statWith("stat", name, unix.O_PATH)
}

func (s *sandbox) Lstat(name string) (fs.FileInfo, error) {
	return s.statWith("lstat", name, unix.O_PATH|unix.O_NOFOLLOW)
}

func (s *sandbox) statWith(op, name string, flags uint64) (fs.FileInfo, error) {
	f, err := s.openat(op, name, flags)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, s.fail(op, name, err)
	}
	return named{st, path.Base(name)}, nil
}

// named gives a FileInfo the last part of the name it was asked for.
type named struct {
	fs.FileInfo
	name string
}

func (n named) Name() string { return n.name }

func (s *sandbox) ReadLink(name string) (string, error) {
	f, err := s.openat("readlink", name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(f.Fd()), "", buf)
	if err != nil {
		return "", s.fail("readlink", name, err)
	}
	return string(buf[:n]), nil
}

func (s *sandbox) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := s.openat("readdir", name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.ReadDir(-1)
	if err != nil {
		return nil, s.fail("readdir", name, err)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for i, e := range list {
		list[i] = &sandboxEntry{e, s, path.Join(name, e.Name())}
	}
	return list, nil
}

// sandboxEntry keeps Info below the root: os.File's own would resolve the name
// it was opened with against the working directory.
type sandboxEntry struct {
	fs.DirEntry
	fs   *sandbox
	path string
}

func (e *sandboxEntry) Info() (fs.FileInfo, error) { return e.fs.Lstat(e.path) }

// sandboxFile counts what is read and reports errors.
type sandboxFile struct {
	file *os.File
	fs   *sandbox
	name string
}

func (f *sandboxFile) Close() error { return f.file.Close() }

func (f *sandboxFile) Seek(offset int64, whence int) (int64, error) {
	return f.file.Seek(offset, whence)
}

func (f *sandboxFile) Stat() (fs.FileInfo, error) {
	st, err := f.file.Stat()
	if err != nil {
		return nil, f.fs.fail("stat", f.name, err)
	}
	return named{st, path.Base(f.name)}, nil
}

func (f *sandboxFile) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	return n, f.count("read", n, err)
}

func (f *sandboxFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.file.ReadAt(p, off)
	return n, f.count("read", n, err)
}

func (f *sandboxFile) count(op string, n int, err error) error {
	f.fs.read.Add(int64(n))
	if err != nil && err != io.EOF {
		return f.fs.fail(op, f.name, err)
	}
	return err
}

func (f *sandboxFile) ReadDir(n int) ([]fs.DirEntry, error) {
	list, err := f.file.ReadDir(n)
	for i, e := range list {
		list[i] = &sandboxEntry{e, f.fs, path.Join(f.name, e.Name())}
	}
	return list, f.count("readdir", 0, err)
}

// measure adds up sizes. Directories that cannot be read are an error: the sum
// would be too small.
func (s *sandbox) measure(ctx context.Context) (squashfs.Sizes, error) {
	var z squashfs.Sizes
	type inode struct{ dev, ino uint64 }
	linked := make(map[inode]bool)
	err := fs.WalkDir(s, ".", func(_ string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		if id := (inode{st.Dev, st.Ino}); st.Nlink > 1 && !info.IsDir() {
			if linked[id] {
				z.HardLinks++
				return nil
			}
			linked[id] = true
		}
		switch {
		case info.IsDir():
			z.Directories++
			z.Disk += squashfs.DiskBlock
		case info.Mode().IsRegular():
			z.Files++
			z.Bytes += info.Size()
			stored := min(st.Blocks*512, info.Size())
			z.Allocated += stored
			z.Disk += squashfs.DiskSize(stored)
		case info.Mode()&fs.ModeSymlink != 0:
			z.Symlinks++
			z.Disk += squashfs.DiskBlock
		default:
			z.Special++
		}
		return nil
	})
	return z, translate(err)
}

// sameContent tells whether nothing was written to a file between two stats.
func sameContent(a, b os.FileInfo) bool {
	x, y := a.Sys().(*syscall.Stat_t), b.Sys().(*syscall.Stat_t)
	return a.Size() == b.Size() && x.Mtim == y.Mtim && x.Ctim == y.Ctim && x.Ino == y.Ino && x.Dev == y.Dev
}
