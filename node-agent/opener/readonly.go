// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/process"
)

// readOnly returns a descriptor of an open file that nothing can be written through, or closes it. A descriptor has the
// rights with which it was opened, whoever holds it: a starter has an image open for writing with --writable, and the
// scanner could change the user's file.
func readOnly(f *os.File) (*os.File, error) {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_ACCMODE == unix.O_RDONLY {
		return f, nil
	}
	defer f.Close()
	if err != nil {
		return nil, err
	}
	// What is no regular file may do something when it is opened.
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = unix.EINVAL
	}
	if err != nil {
		return nil, writable(err)
	}
	again, err := unix.Open(fmt.Sprintf("%s/self/fd/%d", process.Dir, f.Fd()), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, writable(err)
	}
	return os.NewFile(uintptr(again), f.Name()), nil
}

func writable(err error) *Error {
	return &Error{Denied, fmt.Sprintf("the container's starter has the image open for writing, and it cannot be opened for reading alone: %s", err)}
}
