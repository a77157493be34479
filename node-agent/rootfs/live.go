package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// live is what is different about the root of a container that runs: others were mounted into it, files of
// it are refused by their modes, and it ends when its processes do.
type live struct {
	pace   func()
	denied atomic.Int64
}

// OpenLive opens the root directory of a container that runs. Only the mount that the directory is on is
// entered: what was bound into it (homes, scratch, /proc) is not there (RESOLVE_NO_XDEV, which tells
// mounts apart where st_dev does not: files of an overlay have the device of its layer). Before each
// access pace is called. What may not be read is counted, see Denied, and does not end a scan; a root that cannot be
// listed, or is empty, is an *Error of the reason PermissionDenied, for it must not pass for a clean
// image. The directory stays the caller's to close, after the image's last use.
func OpenLive(dir *os.File, pace func()) (*Image, error) {
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, rootRefused(err)
	}
	s := &sandbox{root: os.NewFile(uintptr(fd), dir.Name()), live: &live{pace: pace}}
	entries, err := s.ReadDir(".")
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		err = unsupported("a live container's directory: the kernel (before 5.6) or a seccomp profile refuses openat2, without which what is bound into the container cannot be told from the image")
	case err != nil:
		err = rootRefused(err)
	case len(entries) == 0:
		err = rootRefused(errors.New("it is empty, as it looks where FUSE refuses everybody else"))
	}
	if err != nil {
		s.root.Close()
		return nil, err
	}
	img := &Image{dir: s, info: Info{Format: FormatSandbox}}
	img.readSandboxText()
	return img, nil
}

func rootRefused(err error) error {
	if vanished(err) {
		return &Error{Reason: ReasonVanished, Message: "the container ended before it was read", err: err}
	}
	return &Error{Reason: ReasonPermissionDenied, Message: fmt.Sprintf("the container's root cannot be read: %v", err), err: err}
}

// vanished tells the errors of a file system whose server, a process of the container, is gone.
func vanished(err error) bool {
	return errors.Is(err, syscall.ENOTCONN) || errors.Is(err, syscall.ESTALE) || errors.Is(err, syscall.ECONNABORTED)
}

// explain sorts an error of a live container.
func (l *live) explain(kept *failures, err error) error {
	switch {
	case errors.Is(err, syscall.EXDEV): // another mount: not of the image
		return fs.ErrNotExist
	case errors.Is(err, fs.ErrPermission):
		l.denied.Add(1)
		return err
	case vanished(err):
		return kept.keep(&Error{Reason: ReasonVanished, Message: "the container ended while it was read", err: err})
	case !aboutName(err):
		return kept.keep(translate(err))
	}
	return err
}

// Denied counts accesses to a live container's files that were refused. It is 0 for other images.
func (img *Image) Denied() int64 {
	if img.dir == nil || img.dir.live == nil {
		return 0
	}
	return img.dir.live.denied.Load()
}
