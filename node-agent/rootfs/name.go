package rootfs

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
)

const (
	errNotDirectory = syscall.ENOTDIR
	errIsDirectory  = syscall.EISDIR
)

// validName is fs.ValidPath without its demand for UTF-8: names of files are
// bytes, and a file must not be hidden from a scan by its name.
func validName(name string) bool {
	if name == "." {
		return true
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == "" || element == "." || element == ".." {
			return false
		}
	}
	return true
}

// aboutName tells errors that say something about a name from those that say
// something about the image.
func aboutName(err error) bool {
	for _, target := range []error{fs.ErrNotExist, fs.ErrInvalid, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP, syscall.ENAMETOOLONG} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
