package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/squashfs"
)

const (
	// queueLength bounds the files that are open and wait for their content.
	queueLength = 64

	// maxOpenDirs bounds the descriptors of nested directories. Those above are
	// opened again, from the root, on the way back.
	maxOpenDirs = 64

	// maxWriters bounds the memory of an extraction: each holds a job's content, a
	// compressed block and a decompressor, 3 to 5 MiB with blocks of 1 MiB.
	maxWriters = 8

	// linkMemory bounds the paths of files with several names that have not all
	// been seen.
	linkMemory = 64 << 20
)

// extraction writes one image. One goroutine walks it and makes everything that
// has a name; on ext4 two of them were slower than one. The others inflate and
// write content.
//
// Names are made relative to the descriptor of their directory, one component
// at a time, and never through a symlink (O_EXCL, O_NOFOLLOW): what the kernel
// would confine with openat2(RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS) never leaves
// the directory in the first place, and no seccomp profile stands in the way.
type extraction struct {
	sqfs  *squashfs.Reader
	root  int
	umask uint32

	dirs  []openDir
	links map[uint32]*link
	kept  int // bytes of paths in links

	jobs chan job
	left atomic.Int64 // bytes of disk
}

// openDir is a directory on the way to where the walk is.
type openDir struct {
	fd    int // -1: closed for the time being
	path  string
	inode squashfs.Inode
}

// link is a file with several names.
type link struct {
	path   string
	ref    squashfs.Ref
	unseen uint32
}

func newExtraction(r *squashfs.Reader, root *os.File, limit int64) *extraction {
	x := &extraction{sqfs: r, root: int(root.Fd()), umask: currentUmask(), links: make(map[uint32]*link), jobs: make(chan job, queueLength)}
	x.left.Store(limit)
	return x
}

// currentUmask reads the umask without the race of setting it.
func currentUmask() uint32 {
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		var umask uint32
		for line := range strings.Lines(string(status)) {
			if n, _ := fmt.Sscanf(line, "Umask: %o", &umask); n == 1 {
				return umask
			}
		}
	}
	return 0o777 // as if it forbade all, so that every mode is set explicitly
}

func (x *extraction) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), maxWriters) {
		group.Go(func() error { return x.writeContent(ctx) })
	}
	group.Go(func() error {
		defer close(x.jobs)
		defer x.closeDirs(0)
		if err := x.sqfs.Walk(ctx, func(v *squashfs.Visit) error { return x.visit(ctx, v) }); err != nil {
			return err
		}
		return x.leave(0)
	})
	err := group.Wait()
	for j := range x.jobs { // nobody is left to write these
		j.file.done(1, context.Canceled)
	}
	return err
}

// visit makes one file. v.Path is new at every call.
func (x *extraction) visit(ctx context.Context, v *squashfs.Visit) error {
	if err := x.leave(v.Depth); err != nil {
		return err
	}
	if v.Depth == 0 {
		x.dirs = append(x.dirs, openDir{fd: x.root, inode: *v.Inode})
		return nil
	}
	if err := x.reopen(v.Depth - 1); err != nil {
		return err
	}
	parent := x.dirs[v.Depth-1].fd
	path := string(v.Path)
	name := baseName(path)
	if v.Again || v.Inode.Links > 1 && v.Inode.Type != squashfs.Directory {
		if done, err := x.linked(parent, name, path, v); done || err != nil {
			return wrapPath(err, path)
		}
	}
	var err error
	switch v.Inode.Type {
	case squashfs.Directory:
		err = x.makeDir(parent, name, path, v.Inode)
	case squashfs.Regular:
		err = x.makeFile(ctx, parent, name, path, v.Inode)
	case squashfs.Symlink:
		err = x.makeSymlink(parent, name, v.Inode)
	}
	return wrapPath(err, path)
}

// wrapPath says which file failed. A full disk is a reason of its own.
func wrapPath(err error, path string) error {
	var already *Error
	var fromImage *squashfs.Error
	switch {
	case err == nil, errors.As(err, &already), errors.As(err, &fromImage), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return &Error{Reason: ReasonTmpExhausted, Message: fmt.Sprintf("no space left while writing %q: others use the same disk, or it has a smaller quota", path), err: err}
	}
	return fmt.Errorf("extract %q: %w", path, err)
}

// spend counts bytes of disk before they are written.
func (x *extraction) spend(n int64) error {
	if x.left.Add(-squashfs.DiskSize(n)) < 0 {
		return &Error{Reason: ReasonTmpTooSmall, Message: "the image holds more than its own tables say, and more than fits"}
	}
	return nil
}

// permissions are what the owner may keep: readable to us, no identity change.
func permissions(i *squashfs.Inode) uint32 {
	p := uint32(i.Perm) & 0o1777
	if i.Type == squashfs.Directory {
		return p | 0o700
	}
	return p&0o777 | 0o400
}

// setMode repairs what the umask took away from a new file.
func (x *extraction) setMode(fd int, mode uint32) error {
	if mode&x.umask == 0 {
		return nil
	}
	return unix.Fchmod(fd, mode)
}

func (x *extraction) makeDir(parent int, name, path string, i *squashfs.Inode) error {
	if err := x.spend(squashfs.DiskBlock); err != nil {
		return err
	}
	mode := permissions(i)
	if err := unix.Mkdirat(parent, name, mode); err != nil {
		return err
	}
	fd, err := openDirAt(parent, name)
	if err != nil {
		return err
	}
	if deepest := len(x.dirs); deepest > maxOpenDirs {
		x.shut(&x.dirs[deepest-maxOpenDirs])
	}
	x.dirs = append(x.dirs, openDir{fd, path, *i})
	if err := x.setMode(fd, mode); err != nil {
		return err
	}
	return x.setXattrs(fd, i, mode)
}

func openDirAt(parent int, name string) (int, error) {
	for {
		fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func (x *extraction) makeSymlink(parent int, name string, i *squashfs.Inode) error {
	target, err := x.sqfs.Readlink(i)
	if err != nil {
		return err
	}
	if err := x.spend(squashfs.DiskBlock); err != nil {
		return err
	}
	if err := unix.Symlinkat(target, parent, name); err != nil {
		return err
	}
	t := unix.Timespec{Sec: int64(i.MTime)}
	return unix.UtimesNanoAt(parent, name, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
}

// linked gives a file that was made before a further name. It returns false
// where the file is to be made: its first name, or one more than the file
// system allows or memory holds, which becomes a copy.
func (x *extraction) linked(parent int, name, path string, v *squashfs.Visit) (bool, error) {
	i := v.Inode
	if i.Type != squashfs.Regular && i.Type != squashfs.Symlink {
		return true, nil
	}
	first := x.links[i.Number]
	if first == nil {
		if i.Links > 1 && x.kept+len(path) <= linkMemory {
			x.kept += len(path)
			x.links[i.Number] = &link{path, v.Ref, i.Links - 1}
		}
		return false, nil
	}
	if first.ref != v.Ref {
		return false, corrupt("two files have the inode number %d: %q and %q", i.Number, first.path, path)
	}
	err := unix.Linkat(x.root, first.path, parent, name, 0)
	if errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EPERM) {
		return false, nil
	}
	if first.unseen--; first.unseen == 0 {
		x.kept -= len(first.path)
		delete(x.links, i.Number)
	}
	return true, err
}

// leave finishes the directories that lie at depth or deeper: nothing more is
// made in them, so their times can be set.
func (x *extraction) leave(depth int) error {
	for len(x.dirs) > depth {
		err := x.reopen(len(x.dirs) - 1)
		d := &x.dirs[len(x.dirs)-1]
		if err == nil && d.fd == x.root { // nobody else's while it was filled
			err = unix.Fchmod(d.fd, permissions(&d.inode))
		}
		if err == nil {
			err = setTimes(d.fd, &d.inode)
		}
		if err != nil {
			return wrapPath(err, d.path)
		}
		x.shut(d)
		x.dirs = x.dirs[:len(x.dirs)-1]
	}
	return nil
}

func (x *extraction) closeDirs(depth int) {
	for i := depth; i < len(x.dirs); i++ {
		x.shut(&x.dirs[i])
	}
}

func (x *extraction) shut(d *openDir) {
	if d.fd >= 0 && d.fd != x.root {
		unix.Close(d.fd)
		d.fd = -1
	}
}

// reopen opens directory i of the way, which was closed to save descriptors,
// together with those right above it, which will be needed next.
func (x *extraction) reopen(i int) error {
	above := i
	for x.dirs[above].fd < 0 {
		above--
	}
	for k := above + 1; k <= i; k++ {
		d := &x.dirs[k]
		fd, err := openDirAt(x.dirs[k-1].fd, baseName(d.path))
		if err != nil {
			return wrapPath(err, d.path)
		}
		d.fd = fd
		if k-1 > above && k-1 <= i-maxOpenDirs/2 {
			x.shut(&x.dirs[k-1])
		}
	}
	return nil
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// setXattrs keeps the attributes of the user namespace; those of trusted and
// security are privileges. A file system that takes none is no failure.
func (x *extraction) setXattrs(fd int, i *squashfs.Inode, mode uint32) error {
	if !i.HasXattrs() {
		return nil
	}
	list, err := x.sqfs.Xattrs(i)
	if err != nil {
		return err
	}
	for _, a := range list {
		if !strings.HasPrefix(a.Name, "user.") {
			continue
		}
		err := unix.Fsetxattr(fd, a.Name, a.Value, 0)
		if errors.Is(err, unix.EACCES) { // the owner of a read-only file may write its content, not these
			if err = unix.Fchmod(fd, mode|0o200); err == nil {
				err = errors.Join(unix.Fsetxattr(fd, a.Name, a.Value, 0), unix.Fchmod(fd, mode))
			}
		}
		switch {
		case errors.Is(err, unix.ENOTSUP):
			return nil
		case err != nil:
			return fmt.Errorf("set xattr %q: %w", a.Name, err)
		}
	}
	return nil
}
