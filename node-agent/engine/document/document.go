// Package document reads what executed engines write: files that are made from hostile images by a program that is not ours.
// A file is read up to a bound, a list element by element, each within a bound of its own, and an element of the wrong shape
// is counted and passed over. What cannot be read is an error that says why, never an empty list.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	// MaxBytes of one document. The SBOM of 20,000 packages has about 15 MB, and the volume that hands results to the
	// reporter holds 512 MiB for several images of four documents each.
	MaxBytes = 32 << 20
	// maxElement bounds an element of a list: one package, rule or result. Decoding makes up to thirty times as much of it.
	maxElement = 1 << 20
	// maxElements of a list; the largest images have under 100,000 packages.
	maxElements = 250_000
)

// Read returns the content of a regular file of at most limit bytes. It follows no link.
func Read(path string, limit int64) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.ELOOP) {
			return nil, errors.New("it is a symbolic link")
		}
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no regular file")
	case info.Size() > limit:
		return nil, fmt.Errorf("it has %d MiB, and at most %d are read", info.Size()>>20, limit>>20)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	return data, nil
}

// Sound tells whether a document can be handed on: JSON of at most 10,000 levels, in UTF-8.
func Sound(data []byte) error {
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("it is empty")
	case !utf8.Valid(data):
		return errors.New("it is not UTF-8")
	case !json.Valid(data):
		return errors.New("it is no JSON, or nested more than 10,000 levels deep")
	}
	return nil
}

// Skipped counts elements that were passed over.
type Skipped int

// Each calls fn for every value at path: object keys, and "*" for the elements of an array. Objects and arrays on the way may
// be absent or of another type. A value that is larger than 1 MiB, and one that fn refuses, is counted as skipped.
// The error is about the document: it is no JSON, or a list is too long.
func Each(data []byte, fn func(json.RawMessage) error, path ...string) (Skipped, error) {
	return each(data, maxElement, fn, path)
}

// EachWhole is Each for values that hold lists themselves, and may be as large as the document. fn must not decode them into
// more than a few fields.
func EachWhole(data []byte, fn func(json.RawMessage) error, path ...string) (Skipped, error) {
	return each(data, MaxBytes, fn, path)
}

func each(data []byte, most int, fn func(json.RawMessage) error, path []string) (Skipped, error) {
	w := &walker{dec: json.NewDecoder(bytes.NewReader(data)), fn: fn, most: most}
	if err := w.value(path); err != nil {
		return w.skipped, fmt.Errorf("its JSON cannot be read: %w", err)
	}
	return w.skipped, nil
}

type walker struct {
	dec     *json.Decoder
	fn      func(json.RawMessage) error
	most    int // bytes of a value
	seen    int
	skipped Skipped
}

// value reads the next value, at the given rest of the path.
func (w *walker) value(path []string) error {
	if len(path) == 0 {
		return w.found()
	}
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return w.object(path)
	case json.Delim('['):
		return w.array(path)
	}
	w.skipped++ // a scalar where an object or an array is expected
	return nil
}

func (w *walker) object(path []string) error {
	for w.dec.More() {
		key, err := w.dec.Token()
		if err != nil {
			return err
		}
		if key == path[0] {
			err = w.value(path[1:])
		} else {
			err = w.pass()
		}
		if err != nil {
			return err
		}
	}
	_, err := w.dec.Token() // the closing brace
	return err
}

func (w *walker) array(path []string) error {
	for w.dec.More() {
		var err error
		if path[0] == "*" {
			err = w.value(path[1:])
		} else {
			err = w.pass()
		}
		if err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

// pass reads a value that is not wanted.
func (w *walker) pass() error {
	var ignored ignore
	return w.dec.Decode(&ignored)
}

// ignore is decoded from any value and keeps nothing of it.
type ignore struct{}

func (*ignore) UnmarshalJSON([]byte) error { return nil }

func (w *walker) found() error {
	raw := element{most: w.most}
	if err := w.dec.Decode(&raw); err != nil {
		return err
	}
	if w.seen++; w.seen > maxElements {
		return fmt.Errorf("a list of more than %d elements", maxElements)
	}
	if raw.content == nil || w.fn(raw.content) != nil {
		w.skipped++
	}
	return nil
}

// element keeps the text of a value unless it is too large.
type element struct {
	most    int
	content json.RawMessage
}

func (e *element) UnmarshalJSON(text []byte) error {
	if len(text) <= e.most {
		e.content = bytes.Clone(text)
	}
	return nil
}
