package volume

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Kind is what an image is on disk.
type Kind int

const (
	// Regular is an image in one file.
	Regular Kind = iota
	// Sandbox is a directory: an image unpacked into one, which holds a directory named .singularity.d, or one that was
	// asked for as it is.
	Sandbox
)

// String returns "file" or "sandbox".
func (k Kind) String() string {
	if k == Sandbox {
		return "sandbox"
	}
	return "file"
}

// Info is what the file system says of an image without opening it. Times are nanoseconds since 1970; Size is in bytes;
// Mode holds the permission bits with setuid, setgid and sticky, not the type.
type Info struct {
	Kind       Kind
	Dev, Ino   uint64
	Size       int64
	ModTime    int64
	ChangeTime int64
	UID, GID   uint32
	Mode       uint32
}

// Identity returns "inode:size:mtime:ctime", which stays the same as long as nobody wrote to the image: mtime can be set
// by its owner, ctime cannot. The device is left out because its number differs between nodes and mounts. A sandbox has
// no identity, "": its directory does not change when a file below it does.
func Identity(info Info) string {
	if info.Kind == Sandbox {
		return ""
	}
	return fmt.Sprintf("%d:%d:%d:%d", info.Ino, info.Size, info.ModTime, info.ChangeTime)
}

func infoOf(st *unix.Stat_t) Info {
	kind := Regular
	if isDir(st) {
		kind = Sandbox
	}
	return Info{
		Kind: kind,
		Dev:  st.Dev, Ino: st.Ino,
		Size:       st.Size,
		ModTime:    st.Mtim.Nano(),
		ChangeTime: st.Ctim.Nano(),
		UID:        st.Uid, GID: st.Gid,
		Mode: st.Mode &^ unix.S_IFMT,
	}
}

func isDir(st *unix.Stat_t) bool     { return st.Mode&unix.S_IFMT == unix.S_IFDIR }
func isRegular(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFREG }
func isLink(st *unix.Stat_t) bool    { return st.Mode&unix.S_IFMT == unix.S_IFLNK }

// typeName names what cannot be an image.
func typeName(st *unix.Stat_t) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFBLK:
		return "a block device"
	case unix.S_IFCHR:
		return "a character device"
	case unix.S_IFDIR:
		return "a directory that is no sandbox image (it has no .singularity.d)"
	}
	return "of a type that holds no image"
}
