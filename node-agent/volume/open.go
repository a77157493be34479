package volume

import (
	"context"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// File is an opened image.
type File struct {
	file *os.File
	info Info
	path string
}

// Open opens the image at p, a path relative to the volume (Root.Relative makes one from what users write). Links are followed
// while they stay on the volume; an absolute one stays when it begins with the volume's mount path. Only regular files
// and sandbox directories are opened. Errors are of type *Error.
func (r *Root) Open(p string) (*File, error) { return r.open(p, r.accept) }

// OpenDirectory opens the directory at p as Open does, whatever it holds.
func (r *Root) OpenDirectory(p string) (*File, error) {
	return r.open(p, func(p string, found *located) error {
		switch {
		case !isDir(&found.st):
			return &Error{Reason: ReasonNoTargets, Path: p, Message: "is not a directory"}
		case found.st.Dev != r.dev && isKernelFile(found.fd):
			return &Error{Reason: ReasonUnsupported, Path: p, Message: "a directory of the kernel (/proc, /sys)"}
		}
		return nil
	})
}

// open opens what is at p if it is accepted.
func (r *Root) open(p string, accept func(string, *located) error) (*File, error) {
	r.watch.Ask()
	defer r.watch.Answer()
	r.turn()
	found, err := r.lookup(p)
	if err != nil {
		return nil, err
	}
	defer unix.Close(found.fd)
	if err := accept(p, &found); err != nil {
		return nil, err
	}
	flags := unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK
	if isDir(&found.st) {
		flags |= unix.O_DIRECTORY
	}
	r.turn()
	// Through the descriptor in /proc the kernel opens the very inode whose type was just checked. A second look-up by
	// name could meet a device put in its place, and opening a device can already do something.
	fd, err := retry(func() (int, error) {
		return unix.Open("/proc/self/fd/"+strconv.Itoa(found.fd), flags, 0)
	})
	if err != nil {
		return nil, refused(p, err)
	}
	// O_NONBLOCK has done its work: without it, open waits up to 45 seconds for the holder of a lease (fcntl(2)).
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return nil, refused(p, err)
	}
	f := &File{file: os.NewFile(uintptr(fd), found.real), path: found.real}
	if f.info, err = f.stat(); err != nil {
		f.Close()
		return nil, refused(p, err)
	}
	return f, nil
}

// Stat returns what the file system says of the image at p, which it looks up as Open does, without opening it for reading.
func (r *Root) Stat(p string) (Info, error) {
	r.watch.Ask()
	defer r.watch.Answer()
	r.turn()
	found, err := r.lookup(p)
	if err != nil {
		return Info{}, err
	}
	defer unix.Close(found.fd)
	if err := r.accept(p, &found); err != nil {
		return Info{}, err
	}
	return infoOf(&found.st), nil
}

// turn waits, in the midst of a call, until the volume may be asked. One request is never far away.
func (r *Root) turn() { _ = r.request(context.Background()) }

// request is turn with an end. What waits for its turn does not wait for the volume.
func (r *Root) request(ctx context.Context) error {
	r.watch.Answer()
	defer r.watch.Ask()
	return r.pace.Request(ctx)
}

// accept refuses what holds no image.
func (r *Root) accept(p string, found *located) error {
	switch {
	case isDir(&found.st):
		r.turn()
		if !isSandbox(found.fd) {
			return &Error{Reason: ReasonUnsupported, Path: p, Message: typeName(&found.st)}
		}
	case !isRegular(&found.st):
		return &Error{Reason: ReasonUnsupported, Path: p, Message: typeName(&found.st) + ", not an image"}
	case found.st.Dev != r.dev && isKernelFile(found.fd):
		// Only met when the volume is a whole root file system, as on a workstation: a link can then lead to
		// /proc/self/environ and stay "inside".
		return &Error{Reason: ReasonUnsupported, Path: p, Message: "a file of the kernel (/proc, /sys), not an image"}
	}
	return nil
}

// isSandbox reports whether the directory holds a directory named .singularity.d, by which Apptainer marks the images it
// unpacks.
func isSandbox(dirfd int) bool {
	var st unix.Stat_t
	err := unix.Fstatat(dirfd, sandboxMark, &st, unix.AT_SYMLINK_NOFOLLOW)
	return err == nil && isDir(&st)
}

const sandboxMark = ".singularity.d"

// isKernelFile reports whether fd lies on a file system whose files are not stored but made up by the kernel on reading.
func isKernelFile(fd int) bool {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return false
	}
	switch fs.Type {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC,
		unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.BPF_FS_MAGIC:
		return true
	}
	return false
}

// ReadAt reads from offset off (pread(2)). It fails on a sandbox.
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.file.ReadAt(p, off) }

// Size returns the size in bytes when the file was opened.
func (f *File) Size() int64 { return f.info.Size }

// Info returns the attributes the file had when it was opened.
func (f *File) Info() Info { return f.info }

// Path returns the path without links, relative to the volume, raw bytes.
func (f *File) Path() string { return f.path }

// Descriptor returns the open file or sandbox directory, for callers that need more than ReadAt. It stays owned by f.
func (f *File) Descriptor() *os.File { return f.file }

// Unchanged reports whether the file still has the attributes it had when it was opened. What was read from a file that
// changed is not evidence of anything: the image is Changing. A new hard link, or the loss of a name, counts as a change
// too, since it moves ctime. For a sandbox only the top directory is compared.
func (f *File) Unchanged() bool {
	now, err := f.stat()
	return err == nil && now.Dev == f.info.Dev && now.Ino == f.info.Ino && now.Size == f.info.Size &&
		now.ModTime == f.info.ModTime && now.ChangeTime == f.info.ChangeTime
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

func (f *File) stat() (Info, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.file.Fd()), &st); err != nil {
		return Info{}, err
	}
	return infoOf(&st), nil
}
