// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// Error says what could not be done on the volume, and what to change.
type Error struct {
	// Doing is what was tried, such as create.
	Doing string
	// Path from the volume's root.
	Path string
	// Err is the kernel's answer, or ours.
	Err error
}

// Error is safe to print.
func (e *Error) Error() string {
	what := e.Err.Error()
	var errno unix.Errno
	if errors.As(e.Err, &errno) {
		what = errno.Error()
	}
	text := fmt.Sprintf("%s %s: %s", e.Doing, printable.Truncate(printable.Escape(e.Path), 200), what)
	if advice := adviceOn(e.Err); advice != "" {
		text += "; " + advice
	}
	return text
}

// Unwrap returns the kernel's answer.
func (e *Error) Unwrap() error { return e.Err }

var (
	errInTheWay = errors.New("a link or file is there and no directory")
	errNotFile  = errors.New("not a regular file")
	errChanged  = errors.New("it is not what it was: somebody changed it")
)

// foreign is the error of what belongs to somebody else.
type foreign uint32

func (f foreign) Error() string { return fmt.Sprintf("it belongs to uid %d", uint32(f)) }

// adviceOn says what to change.
func adviceOn(err error) string {
	var other foreign
	switch {
	case errors.Is(err, unix.ENOSPC):
		return "the volume is full"
	case errors.Is(err, unix.EDQUOT):
		return fmt.Sprintf("the quota of uid %d is used up", os.Geteuid())
	case errors.Is(err, unix.EROFS):
		return "the volume can only be read"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Sprintf("let uid %d, gid %d write there", os.Geteuid(), os.Getegid())
	case errors.Is(err, errInTheWay):
		return "remove it"
	case errors.As(err, &other):
		return fmt.Sprintf("remove it, or give it to uid %d", os.Geteuid())
	}
	return ""
}

// failed is the error of doing something with a name in d; nil where err is.
func (d *directory) failed(doing, name string, err error) error {
	if err == nil {
		return nil
	}
	var inner *Error
	if errors.As(err, &inner) {
		return err
	}
	return &Error{doing, path.Join(d.path, name), err}
}
