// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// maxLine bounds a line of any journal. A path of PATH_MAX bytes, each escaped, is 16 KiB.
const maxLine = 64 << 10

// How soon one half sees what the other wrote: the waits grow by a quarter, so that ten thousand
// short answers are not ten thousand long waits. Inotify would save some wake-ups and need a
// fallback; ten stat calls a second cost nothing.
const (
	pollFirst = 2 * time.Millisecond
	pollMost  = 100 * time.Millisecond
)

// lineWriter appends JSON lines to a file that only this process writes.
type lineWriter struct{ f *os.File }

func openLineWriter(path string) (*lineWriter, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, err
	}
	// A writer that died in the middle of a line leaves it without an end: end it, so that
	// the reader sees one bad line and not two glued together.
	if end, err := f.Seek(0, io.SeekEnd); err == nil && end > 0 {
		var last [1]byte
		if r, err := os.Open(path); err == nil {
			_, err = r.ReadAt(last[:], end-1)
			r.Close()
			if err == nil && last[0] != '\n' {
				_, _ = f.Write([]byte{'\n'})
			}
		}
	}
	return &lineWriter{f}, nil
}

func (w *lineWriter) write(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(line) >= maxLine {
		return fmt.Errorf("%s: a line of %d bytes is longer than %d", w.f.Name(), len(line), maxLine)
	}
	_, err = w.f.Write(append(line, '\n'))
	return err
}

func (w *lineWriter) close() error { return w.f.Close() }

// tail reads whole lines of a file that the other half appends to. The file need not exist yet.
type tail struct {
	path  string
	f     *os.File
	chunk []byte       // one for all looks: a reporter looks hundreds of times a second
	read  bytes.Buffer // and not told yet
}

// errNotYet: the file does not exist yet.
var errNotYet = errors.New("not written yet")

// next calls fn for each whole line that is there now. A line that is no JSON object of T is
// passed over when its writer died within it; any other defect is fn's to find.
func next[T any](t *tail, fn func(T) error) error {
	if err := t.open(); err != nil {
		return err
	}
	if t.chunk == nil {
		t.chunk = make([]byte, 32<<10)
	}
	for {
		n, err := t.f.Read(t.chunk)
		t.read.Write(t.chunk[:n])
		for {
			i := bytes.IndexByte(t.read.Bytes(), '\n')
			if i < 0 {
				break
			}
			var v T
			if json.Unmarshal(t.read.Next(i + 1)[:i], &v) != nil {
				continue
			}
			if err := fn(v); err != nil {
				return err
			}
		}
		if t.read.Len() >= maxLine {
			return fmt.Errorf("%s: a line is longer than %d bytes", t.path, maxLine)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// open opens the file once it is there.
func (t *tail) open() error {
	if t.f != nil {
		return nil
	}
	f, err := openRegular(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return errNotYet
	}
	if err != nil {
		return err
	}
	t.f = f
	return nil
}

func (t *tail) close() {
	if t.f != nil {
		t.f.Close()
	}
}

// writeWhole writes lines into a file that appears complete or not at all.
func writeWhole[T any](path string, lines func(yield func(T) error) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	w := &lineWriter{f}
	if err := errors.Join(lines(func(v T) error { return w.write(v) }), w.close()); err != nil {
		return err
	}
	if err := os.Chmod(f.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
