package rootfs

import (
	"context"
	"errors"
	"fmt"
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

// sandbox is a directory on disk as an FS. All names are resolved with the
// directory as their root, so that links lead back into it, even while somebody
// exchanges directories: by the kernel (openat2 RESOLVE_IN_ROOT), or by confined.
type sandbox struct {
	root     *os.File
	confined *confined // set where openat2 is refused
	live     *live     // set where it is the root of a live container
	read     atomic.Int64
	storage
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
	return openSandbox(root, storage{})
}

// openSandbox takes over the descriptor of a directory.
func openSandbox(root *os.File, on storage) (*Image, error) {
	s := &sandbox{root: root, storage: on}
	if _, err := s.openat2(".", unix.O_PATH); errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		// The name is the descriptor's, which nobody can exchange.
		r, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", root.Fd()))
		if err != nil {
			root.Close()
			return nil, translate(err)
		}
		s.confined = &confined{r}
	}
	img := &Image{dir: s, info: Info{Format: FormatDirectory}}
	if st, err := s.Lstat(".singularity.d"); err == nil && st.IsDir() {
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
	if img.dir == nil {
		return nil
	}
	if c := img.dir.confined; c != nil {
		c.root.Close()
	}
	return img.dir.root.Close()
}

func (s *sandbox) fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	switch {
	case s.live != nil:
		err = s.live.explain(&s.failures, err)
	case !aboutName(err):
		err = s.keep(translate(err))
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// openat2 is the system call; tests replace it by one that a seccomp profile refuses.
var openat2 = unix.Openat2

// openat2 opens a name below the root; flags are of open(2).
func (s *sandbox) openat2(name string, flags uint64) (*os.File, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	if s.live != nil {
		how.Resolve |= unix.RESOLVE_NO_XDEV
		s.live.pace()
	}
	s.ask(0)
	defer s.answered()
	for {
		fd, err := openat2(int(s.root.Fd()), name, &how)
		if err == unix.EINTR || err == unix.EAGAIN { // a rename raced with the resolution
			continue
		}
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), name), nil
	}
}

// open opens a file for reading.
func (s *sandbox) open(op, name string) (f *os.File, err error) {
	switch {
	case !validName(name):
		err = fs.ErrInvalid
	case s.confined != nil:
		f, err = s.confined.open(name)
	default:
		// O_NONBLOCK: opening a FIFO must not wait for a writer.
		f, err = s.openat2(name, unix.O_RDONLY|unix.O_NONBLOCK)
	}
	return f, s.fail(op, name, err)
}

func (s *sandbox) Open(name string) (fs.File, error) {
	f, err := s.open("open", name)
	if err != nil {
		return nil, err
	}
	return &sandboxFile{file: f, fs: s, name: name, listing: listing{file: f, storage: s.storage}}, nil
}

func (s *sandbox) Stat(name string) (fs.FileInfo, error)  { return s.stat("stat", name, true) }
func (s *sandbox) Lstat(name string) (fs.FileInfo, error) { return s.stat("lstat", name, false) }

func (s *sandbox) stat(op, name string, follow bool) (st fs.FileInfo, err error) {
	switch {
	case !validName(name):
		err = fs.ErrInvalid
	case s.confined != nil:
		st, err = s.confined.stat(name, follow)
	default:
		flags := uint64(unix.O_PATH)
		if !follow {
			flags |= unix.O_NOFOLLOW
		}
		var f *os.File
		if f, err = s.openat2(name, flags); err == nil {
			st, err = f.Stat()
			f.Close()
		}
	}
	if err != nil {
		return nil, s.fail(op, name, err)
	}
	return named{st, path.Base(name)}, nil
}

func (s *sandbox) ReadLink(name string) (target string, err error) {
	switch {
	case !validName(name):
		err = fs.ErrInvalid
	case s.confined != nil:
		target, err = s.confined.readlink(name)
	default:
		target, err = s.readlink(name)
	}
	return target, s.fail("readlink", name, err)
}

func (s *sandbox) readlink(name string) (string, error) {
	f, err := s.openat2(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer f.Close()
	s.ask(0)
	defer s.answered()
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(f.Fd()), "", buf)
	if err == unix.ENOENT { // what an empty path means to the kernel when the file is no symlink
		err = unix.EINVAL
	}
	return string(buf[:max(n, 0)]), err
}

func (s *sandbox) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := s.open("readdir", name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := (&listing{file: f, storage: s.storage}).rest()
	if err != nil {
		return nil, s.fail("readdir", name, err)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for i, e := range list {
		list[i] = &sandboxEntry{e, s, path.Join(name, e.Name())}
	}
	return list, nil
}

// entriesAtOnce are what one request brings of a directory where names are of a usual length: os.File asks for 8 KiB.
const entriesAtOnce = 100

// listing reads a directory at the pace of its storage. The first request that it takes a turn for is the last, which finds
// the end.
type listing struct {
	file *os.File
	storage
	read  int // entries
	turns int
}

// next returns at most n entries, or fewer; io.EOF at the end.
func (l *listing) next(n int) ([]fs.DirEntry, error) {
	for ; l.turns <= l.read/entriesAtOnce+1; l.turns++ {
		l.ask(0)
		defer l.answered()
	}
	some, err := l.file.ReadDir(min(n, entriesAtOnce))
	l.read += len(some)
	return some, err
}

// rest returns all entries that are left.
func (l *listing) rest() (all []fs.DirEntry, err error) {
	for {
		some, err := l.next(entriesAtOnce)
		all = append(all, some...)
		switch {
		case err == io.EOF || err == nil && len(some) < entriesAtOnce:
			return all, nil
		case err != nil:
			return nil, err
		}
	}
}

// named gives a FileInfo the last part of the name it was asked for.
type named struct {
	fs.FileInfo
	name string
}

func (n named) Name() string { return n.name }

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
	file    *os.File
	fs      *sandbox
	name    string
	listing listing
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
	f.fs.ask(len(p))
	n, err := f.file.Read(p)
	f.fs.answered()
	return n, f.count("read", n, err)
}

func (f *sandboxFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.ask(len(p))
	n, err := f.file.ReadAt(p, off)
	f.fs.answered()
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
	read := f.listing.rest
	if n > 0 {
		read = func() ([]fs.DirEntry, error) { return f.listing.next(n) }
	}
	list, err := read()
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
