package squashfs

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Kind says whose fault an Error is.
type Kind uint8

const (
	// Corrupt: the image contradicts itself or the format.
	Corrupt Kind = iota + 1
	// Unsupported: the image may be valid, but this package does not read it.
	Unsupported
	// Shrunk: the file ended before an offset that lay inside of it when it was opened.
	Shrunk
)

// Error is a defect of an image. Errors of the underlying io.ReaderAt (an I/O
// error of the disk, say) are passed on as they are, wrapped with the offset.
type Error struct {
	Kind Kind
	Msg  string
}

func (e *Error) Error() string { return "squashfs: " + e.Msg }

func corrupt(format string, args ...any) error {
	return &Error{Kind: Corrupt, Msg: fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &Error{Kind: Unsupported, Msg: fmt.Sprintf(format, args...)}
}

// pread fills p from offset off. The callers have checked that the range lies
// inside the size known at open, so an early end means that the file was cut.
func pread(src io.ReaderAt, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Kind: Shrunk, Msg: fmt.Sprintf(
			"the file became shorter while it was read: %d bytes at offset %d are gone", len(p)-n, off+int64(n))}
	}
	return fmt.Errorf("squashfs: read %d bytes at offset %d: %w", len(p), off, err)
}

// printable shortens a path to what fits a message and escapes what a terminal
// would act on. The end of a path tells more than its beginning.
func printable(path []byte) string {
	const longest = 160
	cut := ""
	if len(path) > longest {
		path, cut = path[len(path)-longest:], "…"
	}
	q := strconv.Quote(string(path))
	return cut + q[1:len(q)-1]
}
