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

// MaxBytes of one document that is handed on. The SBOM of 20,000 packages has about 15 MB, and the volume that hands results
// to the reporter holds 512 MiB for several images of four documents each.
const MaxBytes = 32 << 20

// Read returns the content of a regular file of at most limit bytes. It follows no link.
func Read(path string, limit int64) ([]byte, error) {
	f, size, err := open(path, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data := make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, err
	}
	return data, nil
}

// open opens a regular file of at most limit bytes. A FIFO does not make it wait.
func open(path string, limit int64) (f *os.File, size int64, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.ELOOP) {
			return nil, 0, errors.New("it is a symbolic link")
		}
		return nil, 0, err
	}
	f = os.NewFile(uintptr(fd), path)
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("it is no regular file")
	case info.Size() > limit:
		err = fmt.Errorf("it has %d MiB, and at most %d are read", info.Size()>>20, limit>>20)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
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
