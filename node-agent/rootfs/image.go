package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/squashfs"
)

// FS is the root file system of an image, fit for osv-scalibr (its fs.FS) and
// for io/fs. Opened regular files implement io.ReaderAt and io.Seeker, opened
// directories fs.ReadDirFile. Names are as in io/fs, except that they need not
// be UTF-8. FileInfo.Sys of files inside SquashFS is a *squashfs.Inode.
//
// Safe for parallel use; one opened file, as an *os.File, has one position.
type FS interface {
	fs.ReadDirFS
	fs.StatFS
	fs.ReadLinkFS

	// Err returns the first error that says something about the image or its
	// storage rather than about a name: a scan that saw one is not complete.
	Err() error
}

// Image is an opened image. It is safe for parallel use.
type Image struct {
	info       Info
	incomplete *Error
	unreadable *Error // why there is no root file system

	src  *source
	sqfs *squashfs.Reader
	dir  *sandbox

	measure  sync.Mutex
	measured bool
	sizes    squashfs.Sizes
	sizesErr error
}

// source counts what is read, and knows the file where there is one.
type source struct {
	r    io.ReaderAt
	file *os.File
	stat os.FileInfo
	read atomic.Int64
	storage
}

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	s.ask(len(p))
	n, err := s.r.ReadAt(p, off)
	s.answered()
	s.read.Add(int64(n))
	return n, err
}

// Storage is told of every request to what an image lies on.
type Storage interface {
	// Ask is called before a request, with the bytes that are read by it, 0 where a name is looked up, a directory listed, or a
	// link read. It may wait.
	Ask(bytes int)
	// Answered is called after it, however it ended.
	Answered()
}

// storage is a Storage or none.
type storage struct{ told Storage }

func (s storage) ask(bytes int) {
	if s.told != nil {
		s.told.Ask(bytes)
	}
}

func (s storage) answered() {
	if s.told != nil {
		s.told.Answered()
	}
}

// Open recognises the image of size bytes behind r. It reads headers only. It
// fails with an *Error when the image is corrupt or no image at all; an image
// that is recognised but cannot be read is opened, and FS says why.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	return open(&source{r: r}, size)
}

// OpenFile is Open for a file, or OpenDirectory for a directory. An image that
// was modified since then gives errors of the reason Changing rather than
// CorruptImage. The file stays the caller's to close, after the image's last use.
func OpenFile(f *os.File) (*Image, error) { return OpenOn(nil, f) }

// OpenOn is OpenFile of a file on a storage.
func OpenOn(on Storage, f *os.File) (*Image, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, translate(err)
	}
	switch {
	case st.IsDir():
		storage{on}.ask(0)
		// By its descriptor: the name can mean something else by now.
		fd, err := unix.Openat(int(f.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		storage{on}.answered()
		if err != nil {
			return nil, translate(err)
		}
		return openSandbox(os.NewFile(uintptr(fd), f.Name()), storage{on})
	case !st.Mode().IsRegular():
		return nil, unsupported("not a regular file but a %s", kindOf(st.Mode()))
	}
	return open(&source{r: f, file: f, stat: st, storage: storage{on}}, st.Size())
}

func open(src *source, size int64) (*Image, error) {
	img := &Image{src: src}
	if err := img.identify(size); err != nil {
		return nil, img.explain(err)
	}
	return img, nil
}

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "FIFO"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// Info tells what the image is.
func (img *Image) Info() Info { return img.info }

// Incomplete returns nil, or an *Error of the reason Incomplete that says what
// of the running container FS does not show.
func (img *Image) Incomplete() error {
	if img.incomplete == nil {
		return nil
	}
	return img.incomplete
}

// BytesRead returns how many bytes were read from the image's file: compressed
// bytes. For a sandbox it is the bytes read from its files.
func (img *Image) BytesRead() int64 {
	if img.dir != nil {
		return img.dir.read.Load()
	}
	return img.src.read.Load()
}

// FS proves the structure of the image, once, and returns its root file system.
// The error is an *Error of the reason Unsupported for images whose content is
// not read, CorruptImage for those whose structure is broken.
func (img *Image) FS(ctx context.Context) (FS, error) {
	if img.unreadable != nil {
		return nil, img.unreadable
	}
	if img.dir != nil {
		return img.dir, nil
	}
	if _, err := img.Sizes(ctx); err != nil {
		return nil, err
	}
	return newSquashFS(img), nil
}

// Sizes returns what extraction would need, exact for hard links and holes. It
// reads metadata only: some 30 ms for 90,000 inodes of a SquashFS, on two cores.
func (img *Image) Sizes(ctx context.Context) (squashfs.Sizes, error) {
	switch {
	case img.unreadable != nil:
		return squashfs.Sizes{}, img.unreadable
	case img.dir != nil:
		return img.dir.measure(ctx)
	}
	img.measure.Lock()
	defer img.measure.Unlock()
	if !img.measured {
		sizes, err := img.sqfs.Measure(ctx)
		if ctx.Err() != nil {
			return squashfs.Sizes{}, ctx.Err()
		}
		img.measured, img.sizes, img.sizesErr = true, sizes, img.explain(err)
	}
	return img.sizes, img.sizesErr
}

// Squashfs returns the reader below the root file system, or nil where the
// image has none that is read.
func (img *Image) Squashfs() *squashfs.Reader { return img.sqfs }

// Changed tells whether the file was modified since it was opened. It is false
// for images that were not opened as a file.
func (img *Image) Changed() (bool, error) {
	if img.src == nil || img.src.file == nil {
		return false, nil
	}
	now, err := img.src.file.Stat()
	if err != nil {
		return false, fmt.Errorf("stat the image again: %w", err)
	}
	return !sameContent(img.src.stat, now), nil
}

// explain gives an error its reason. What looks like a defect is Changing where
// the file is not the one that was opened.
func (img *Image) explain(err error) error {
	err = translate(err)
	var e *Error
	if errors.As(err, &e) && e.Reason == ReasonCorruptImage {
		if changed, statErr := img.Changed(); statErr == nil && changed {
			return &Error{Reason: ReasonChanging, Message: "the image was modified while it was read: " + e.Message, err: err}
		}
	}
	return err
}

// optionalTime leaves a time that is not set out of Info's JSON.
func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
