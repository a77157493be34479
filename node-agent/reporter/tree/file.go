// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"io"

	"golang.org/x/sys/unix"
)

// file is an open file of the tree. An os.File asks of each whether it can be waited for, which are three calls more, and no
// regular file can.
type file int

// Read is io.Reader's.
func (f file) Read(p []byte) (int, error) {
	n, err := retry(func() (int, error) { return unix.Read(int(f), p) })
	switch {
	case err != nil:
		return 0, err
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write is io.Writer's. The kernel takes less than it is given where the volume becomes full, and says so at the next call.
func (f file) Write(p []byte) (done int, err error) {
	for done < len(p) {
		n, err := retry(func() (int, error) { return unix.Write(int(f), p[done:]) })
		if err == nil && n == 0 { // as a file server can answer, for ever
			err = io.ErrShortWrite
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// sync brings what was written to the disk.
func (f file) sync() error {
	_, err := retry(func() (int, error) { return 0, unix.Fsync(int(f)) })
	return err
}

// Close closes the file. It is closed whatever the answer is, EINTR too (close(2)).
func (f file) Close() error { return unix.Close(int(f)) }
