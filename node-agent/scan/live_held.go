// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
)

// heldFile reads an open file that it shares with a process of a user: at offsets only, for the position in it is the
// user's. What the file is on may be served by the user too, and never answer: then a read fails, after patience.
type heldFile struct {
	file io.ReaderAt
	ctx  context.Context
}

// patience with one read. A loaded NFS server answers within seconds; its client tries for a minute (timeo=600).
const patience = 2 * time.Minute

// ReadAt reads into memory of its own: a read that nobody waits for any more may still write there.
func (h *heldFile) ReadAt(p []byte, off int64) (int, error) {
	type answer struct {
		n   int
		err error
	}
	own := make([]byte, len(p))
	answers := make(chan answer, 1)
	go func() {
		n, err := h.file.ReadAt(own, off)
		answers <- answer{n, err}
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a := <-answers:
		return copy(p, own[:a.n]), a.err
	case <-h.ctx.Done():
		return 0, context.Cause(h.ctx)
	case <-timer.C:
		return 0, &opener.Error{Code: opener.Silent, Message: fmt.Sprintf("the file system of the image does not answer within %s", patience)}
	}
}

// openHeld opens the image in a file that was handed over.
func openHeld(ctx context.Context, file *os.File) (*rootfs.Image, error) {
	held := &heldFile{file, ctx}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err == nil {
		return rootfs.Open(held, st.Size)
	}
	// A file system that does not trust this node's root refuses even fstat of what a user opened, and no read.
	size, err := measure(held)
	if err != nil {
		return nil, err
	}
	return rootfs.Open(held, size)
}

// measure finds the size of a file by reading single bytes: where there is one, the file is longer.
func measure(r io.ReaderAt) (int64, error) {
	there := func(off int64) (bool, error) {
		n, err := r.ReadAt(make([]byte, 1), off)
		if err == io.EOF {
			err = nil
		}
		return n == 1, err
	}
	low, high := int64(0), int64(1)
	for ; high < 1<<50; high *= 2 { // no file system has longer files
		ok, err := there(high - 1)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		low = high
	}
	for low < high-1 {
		middle := low + (high-low)/2
		ok, err := there(middle - 1)
		if err != nil {
			return 0, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}
