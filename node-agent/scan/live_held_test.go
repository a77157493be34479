// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
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

// mute never answers either.
type mute struct{ silent }

func (m mute) List(context.Context) (*opener.Listing, error) { return nil, nil }
func (m mute) Close() error                                  { return nil }
func (m mute) Take(context.Context, string, opener.What) (*os.File, error) {
	<-m.until
	return nil, &opener.Error{Code: opener.Vanished}
}

func TestAFileSystemThatNeverAnswersHoldsOneImageUpAndNotTheRun(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	defer func(d time.Duration) { grace = d }(grace)
	grace = time.Millisecond
	image := &liveImage{from: &Live{Opener: mute{silent{never}}}, groups: []*Group{{members: make([]opener.Container, 1)}}}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTimeout)
	r := &Result{}
	err := image.scan(ctx, &Scanner{}, r)
	r.fail(ctx, err, time.Minute)
	if o := r.Report.Outcome; o.Reason != v1alpha1.ReasonDeadlineExceeded || o.Coverage != v1alpha1.CoverageUnreachable {
		t.Errorf("%+v", o)
	}
}

// endless is a file of a file system that a user serves; it notes that it was opened.
type endless struct {
	rootfs.FS
	opened chan struct{}
}

func (e *endless) Open(string) (fs.File, error) {
	f, err := os.Open("/dev/zero")
	close(e.opened)
	return f, err
}

func TestTheCopyOfAFileThatNeverEndsEndsWithTheScan(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	to, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	files := &endless{opened: make(chan struct{})}
	go func() { <-files.opened; cancel(errors.New("time is up")) }()
	_, err = copyEntry(ctx, files, to, "file", entries[0], 0, false)
	if err == nil || err.Error() != "time is up" {
		t.Errorf("ended with %v", err)
	}
}
