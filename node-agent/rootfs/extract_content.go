package rootfs

import (
	"context"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/squashfs"
)

// jobSize is how much content one worker writes at a time: large files are
// shared between workers, and a cancelled extraction ends within one of these.
const jobSize = 1 << 20

// job is a part of a file to be written.
type job struct {
	file *target
	off  int64
	end  int64
}

// target is a file that was made and waits for its content.
type target struct {
	fd      int
	path    string
	inode   squashfs.Inode
	content *squashfs.File
	parts   atomic.Int64 // not yet written
	holes   atomic.Bool
	failed  atomic.Bool
}

// makeFile makes a regular file and hands its content to the workers.
func (x *extraction) makeFile(ctx context.Context, parent int, name, path string, i *squashfs.Inode) error {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	content, err := x.sqfs.Open(i)
	if err != nil {
		return err
	}
	mode := permissions(i)
	fd, err := unix.Openat(parent, name, flags, mode)
	for err == unix.EINTR {
		fd, err = unix.Openat(parent, name, flags, mode)
	}
	if err != nil {
		return err
	}
	t := &target{fd: fd, path: path, inode: *i, content: content}
	t.parts.Store(max((i.Size+jobSize-1)/jobSize, 1))
	if err := x.setMode(fd, mode); err != nil {
		t.done(t.parts.Load(), err)
		return err
	}
	if err := x.setXattrs(fd, i, mode); err != nil {
		t.done(t.parts.Load(), err)
		return err
	}
	if i.Size == 0 {
		return t.done(1, nil)
	}
	for off := int64(0); off < i.Size; off += jobSize {
		select {
		case x.jobs <- job{t, off, min(off+jobSize, i.Size)}:
		case <-ctx.Done():
			t.done((i.Size-off+jobSize-1)/jobSize, ctx.Err())
			return ctx.Err()
		}
	}
	return nil
}

// writeContent writes what it is given until there is no more, or ctx ends.
func (x *extraction) writeContent(ctx context.Context) error {
	buf := make([]byte, jobSize)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case j, more := <-x.jobs:
			if !more {
				return nil
			}
			if err := j.file.done(1, x.writePart(ctx, j, buf)); err != nil {
				return wrapPath(err, j.file.path)
			}
		}
	}
}

// writePart writes one part of a file, without its holes.
func (x *extraction) writePart(ctx context.Context, j job, buf []byte) error {
	for off := j.off; off < j.end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		run, hole, err := nextRun(j.file.content, off, j.end)
		if err != nil {
			return err
		}
		if hole {
			j.file.holes.Store(true)
			off += run
			continue
		}
		if err := x.spend(run); err != nil {
			return err
		}
		if _, err := j.file.content.ReadAt(buf[:run], off); err != nil {
			return err
		}
		if err := pwriteAll(j.file.fd, buf[:run], off); err != nil {
			return err
		}
		off += run
	}
	return nil
}

// nextRun returns how far from off on there is only data, or only a hole.
func nextRun(f *squashfs.File, off, end int64) (run int64, hole bool, err error) {
	n, err := f.Hole(off)
	if err != nil {
		return 0, false, err
	}
	if n > 0 {
		return min(n, end-off), true, nil
	}
	for at := off; at < end; {
		n, err := f.Hole(at)
		if err != nil {
			return 0, false, err
		}
		if n > 0 {
			return at - off, false, nil
		}
		at = f.BlockEnd(at)
	}
	return end - off, false, nil
}

func pwriteAll(fd int, p []byte, off int64) error {
	for len(p) > 0 {
		n, err := unix.Pwrite(fd, p, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// done counts parts as written, or as failed when err is set. The last one
// closes the file: a descriptor that was closed earlier could be another file's
// by the time a second worker writes to it.
func (t *target) done(parts int64, err error) error {
	if err != nil {
		t.failed.Store(true)
	}
	if t.parts.Add(-parts) > 0 {
		return err
	}
	if err == nil && !t.failed.Load() {
		if t.holes.Load() { // one at the end has to be given its length
			err = unix.Ftruncate(t.fd, t.inode.Size)
		}
		if err == nil {
			err = setTimes(t.fd, &t.inode)
		}
	}
	if closeErr := unix.Close(t.fd); err == nil {
		err = closeErr // NFS reports an exceeded quota here
	}
	return err
}

// setTimes sets access and modification time of an open file. The system call
// with no path is futimens(3), which x/sys/unix does not have.
func setTimes(fd int, i *squashfs.Inode) error {
	t := [2]unix.Timespec{{Sec: int64(i.MTime)}, {Sec: int64(i.MTime)}}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
