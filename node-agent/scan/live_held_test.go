// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
)

// counting counts reads.
type counting struct {
	io.ReaderAt
	reads int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.ReaderAt.ReadAt(p, off)
}

func TestTheSizeOfAFileIsFoundByReadingWhereFstatIsRefused(t *testing.T) {
	for _, size := range []int64{0, 1, 2, 3, 4095, 4096, 4097, 1<<20 + 7} {
		r := &counting{ReaderAt: bytes.NewReader(make([]byte, size))}
		if got, err := measure(r); got != size || err != nil {
			t.Errorf("%d bytes are %d, %v", size, got, err)
		}
		if r.reads > 100 {
			t.Errorf("%d reads for %d bytes", r.reads, size)
		}
	}
	broken := errors.New("storage")
	if _, err := measure(failing{broken}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

// silent never answers.
type silent struct{ until chan struct{} }

func (s silent) ReadAt([]byte, int64) (int, error) { <-s.until; return 0, io.EOF }

func TestAReadThatIsNeverAnsweredEndsWithTheScan(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	ended := errors.New("the image's time is up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ended)
	h := &heldFile{file: silent{never}, ctx: ctx}
	if _, err := h.ReadAt(make([]byte, 1), 0); !errors.Is(err, ended) {
		t.Errorf("%v", err)
	}
}
