package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

func TestTheMemoryForBlocksDoesNotGrowWithWhatIsRead(t *testing.T) {
	const files, size = 64, 1 << 20
	f := &forge{BlockSize: size, Root: fixtures.ForgedDir()}
	for i := range files {
		n := f.File(string(bytes.Repeat([]byte{byte(i)}, size)))
		f.Root.Entries = append(f.Root.Entries, entry{Name: fmt.Sprintf("%03d", i), Node: n})
	}
	img := f.Image()
	err := bounded(t, time.Minute, 48<<20, func() error {
		r, err := New(bytes.NewReader(img), int64(len(img)))
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		var failed atomic.Pointer[error]
		for range 8 {
			wg.Go(func() {
				for _, i := range rand.Perm(files) {
					if err := readByte(r, fmt.Sprintf("%03d", i), byte(i)); err != nil {
						failed.Store(&err)
					}
				}
			})
		}
		wg.Wait()
		if p := failed.Load(); p != nil {
			return *p
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// readByte reads one byte in the middle of a block, which takes the whole block.
func readByte(r *Reader, name string, want byte) error {
	inode, err := r.Resolve(name, true)
	if err != nil {
		return err
	}
	file, err := r.Open(inode)
	if err != nil {
		return err
	}
	var got [1]byte
	if _, err := file.ReadAt(got[:], file.Size()/2); err != nil || got[0] != want {
		return fmt.Errorf("%s: read %d, want %d: %w", name, got[0], want, err)
	}
	return nil
}

// flaky fails a number of times.
type flaky struct {
	io.ReaderAt
	failures atomic.Int32
}

var errStorage = errors.New("input/output error")

func (f *flaky) ReadAt(p []byte, off int64) (int, error) {
	if f.failures.Add(-1) >= 0 {
		return 0, errStorage
	}
	return f.ReaderAt.ReadAt(p, off)
}

func TestAnErrorOfTheStorageIsPassedOnAndNotKept(t *testing.T) {
	f := &forge{}
	f.Root = fixtures.ForgedDir(entry{Name: "a", Node: f.File("content")})
	img := f.Image()
	src := &flaky{ReaderAt: bytes.NewReader(img)}
	r, err := New(src, int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	src.failures.Store(1)
	err = readByte(r, "a", 't')
	var e *Error
	if !errors.Is(err, errStorage) || errors.As(err, &e) {
		t.Errorf("got %v, want the storage's own error", err)
	}
	if err := readByte(r, "a", 't'); err != nil {
		t.Errorf("after the storage recovered: %v", err)
	}
}

// panicking is a decompressor with a defect.
type panicking struct{}

func (panicking) decompress([]byte, []byte) (int, error) { panic("index out of range") }

func TestADecompressorThatPanicsMakesTheBlockCorrupt(t *testing.T) {
	s := &scratch{newDec: func() decompressor { return lz4Block{} }, dec: panicking{}}
	if _, err := s.decompress(make([]byte, 10), []byte("x")); err == nil {
		t.Error("no error")
	}
	if _, ok := s.dec.(lz4Block); !ok {
		t.Error("the decompressor that panicked is used again")
	}
}
