package squashfs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// Each target spoils one part of an image that is otherwise well formed, so
// that the fuzzer does not first have to find its way through the superblock.
// The rule is the same for all: an error is an *Error, nothing panics, and time
// and memory have bounds that do not depend on the numbers in the image.

const fuzzReadLimit = 256 << 10

func mustStayBounded(t *testing.T, img []byte) {
	t.Helper()
	err := bounded(t, 5*time.Second, 64<<20, func() error { return readEverything(img, fuzzReadLimit) })
	var e *Error
	if err != nil && !errors.As(err, &e) {
		t.Errorf("an error that is not about the image: %v", err)
	}
}

// sample forges an image that uses every part of the format.
func sample(change func(f *forge)) []byte {
	f := &forge{BlockSize: 4096, IDs: []uint32{0, 1000}}
	f.Xattrs = append([]byte{0, 0, 1, 0, 'a'}, u32(1)...)
	f.Xattrs = append(f.Xattrs, 'v', 1, 1, 1, 0, 'b', 8, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0)
	f.XattrTable = []fixtures.XattrRecord{{Count: 2, Size: 30}}
	packed := fixtures.Deflate(bytes.Repeat([]byte("packed "), 586)[:4096])
	tail := f.AddFragment(f.Data([]byte("tail")), 4|fixtures.NotPacked)
	big := &node{Type: 9, Size: 3*4096 + 4, Start: f.Data(packed), Blocks: []uint32{uint32(len(packed)), 0, 0}, Fragment: tail, UID: 1}
	f.Root = &node{Type: 8, Links: 3, Entries: []entry{
		{Name: "big", Node: big},
		{Name: "dir", Node: fixtures.ForgedDir(entry{Name: "again", Node: big}, entry{Name: "\xff", Node: f.File("x")})},
		{Name: "fifo", Node: &node{Type: 6}},
		{Name: "link", Node: &node{Type: 10, Target: "dir/again"}},
		{Name: "null", Node: &node{Type: 12, Xattr: fixtures.NoXattr}},
	}}
	if change != nil {
		change(f)
	}
	return f.Image()
}

func TestTheSampleOfTheFuzzTargetsIsValid(t *testing.T) {
	if err := readEverything(sample(nil), fuzzReadLimit); err != nil {
		t.Fatal(err)
	}
}

func FuzzSuperblock(f *testing.F) {
	f.Add(sample(nil)[:superblockSize])
	for _, test := range hostile {
		if img := test.image(); len(img) >= superblockSize {
			f.Add(img[:superblockSize])
		}
	}
	f.Fuzz(func(t *testing.T, sb []byte) {
		img := sample(nil)
		copy(img, sb[:min(len(sb), superblockSize)])
		mustStayBounded(t, img)
	})
}

func FuzzInodes(f *testing.F) {
	sample(func(s *forge) { s.Inodes = func(b []byte) []byte { f.Add(b); return b } })
	f.Fuzz(func(t *testing.T, table []byte) {
		mustStayBounded(t, sample(func(s *forge) { s.Inodes = func([]byte) []byte { return notEmpty(table) } }))
	})
}

func FuzzDirectories(f *testing.F) {
	sample(func(s *forge) { s.Listings = func(b []byte) []byte { f.Add(b); return b } })
	f.Fuzz(func(t *testing.T, table []byte) {
		mustStayBounded(t, sample(func(s *forge) { s.Listings = func([]byte) []byte { return notEmpty(table) } }))
	})
}

func notEmpty(b []byte) []byte {
	if len(b) == 0 {
		return []byte{0}
	}
	return b
}

func FuzzFragments(f *testing.F) {
	f.Add(uint64(96), uint32(4|fixtures.NotPacked), uint32(0), uint64(4), []byte("tail"))
	f.Add(uint64(96), uint32(20), uint32(10), uint64(4000), fixtures.Deflate(make([]byte, 4096)))
	f.Fuzz(func(t *testing.T, start uint64, size, offset uint32, length uint64, content []byte) {
		mustStayBounded(t, sample(func(s *forge) {
			s.Data(content)
			n := &node{Type: 9, Xattr: fixtures.NoXattr, Size: length, Fragment: s.AddFragment(start, size), Offset: offset}
			s.Root.Entries = append(s.Root.Entries, entry{Name: "z", Node: n})
		}))
	})
}

func FuzzXattrs(f *testing.F) {
	sample(func(s *forge) { f.Add(s.Xattrs, uint64(0), uint32(2)) })
	f.Fuzz(func(t *testing.T, raw []byte, ref uint64, count uint32) {
		mustStayBounded(t, sample(func(s *forge) {
			s.Xattrs, s.XattrTable = notEmpty(raw), []fixtures.XattrRecord{{Ref: ref, Count: count}}
		}))
	})
}

// FuzzData gives a block to each decompressor. Nothing may be written behind
// the memory it is given, nor more than it returns be relied on.
func FuzzData(f *testing.F) {
	for _, name := range []string{"gzip", "zstd", "xz", "lz4"} {
		for _, block := range mksquashfsBlocks(f, name) {
			f.Add(uint8(compressionByName[name]), block)
		}
	}
	f.Fuzz(func(t *testing.T, compressor uint8, block []byte) {
		create, err := newDecompressor(Compression(compressor))
		if err != nil {
			return
		}
		const size, canary = 4096, 64
		buf := bytes.Repeat([]byte{0xa5}, size+canary)
		dec := &scratch{newDec: create, dec: create()}
		_ = bounded(t, 2*time.Second, 16<<20, func() error {
			n, err := dec.decompress(buf[:size:size], block)
			if n < 0 || n > size {
				t.Errorf("returned %d bytes", n)
			}
			return err
		})
		if !bytes.Equal(buf[size:], bytes.Repeat([]byte{0xa5}, canary)) {
			t.Error("wrote behind its memory")
		}
		// A decompressor that met garbage must work again.
		for _, good := range goodBlocks[Compression(compressor)] {
			if n, err := dec.decompress(buf[:size:size], good); err != nil || n == 0 {
				t.Errorf("a good block after it: %d bytes, %v", n, err)
			}
		}
	})
}

var (
	compressionByName = map[string]Compression{"gzip": Gzip, "zstd": Zstd, "xz": XZ, "lz4": LZ4}
	goodBlocks        = map[Compression][][]byte{}
)

// mksquashfsBlocks returns the compressed blocks of a small image.
func mksquashfsBlocks(f *testing.F, compression string) [][]byte {
	f.Helper()
	img := realImage(f, fixtures.Squashfs{Compression: compression, BlockSize: 4096, Extra: []string{"-no-fragments"}})
	r, err := New(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		f.Fatal(err)
	}
	var blocks [][]byte
	err = r.Walk(context.Background(), func(v *Visit) error {
		if v.Inode.Type != Regular || v.Inode.Size == 0 {
			return nil
		}
		file, err := r.Open(v.Inode)
		if err != nil {
			return err
		}
		ref, err := file.block(0)
		if err == nil && ref.stored() > 0 && ref.size&blockStored == 0 {
			blocks = append(blocks, img[ref.off:ref.off+ref.stored()])
		}
		return err
	})
	if err != nil || len(blocks) == 0 {
		f.Fatalf("%d blocks, %v", len(blocks), err)
	}
	goodBlocks[compressionByName[compression]] = blocks
	return blocks
}

func realImage(t testing.TB, s fixtures.Squashfs) []byte {
	t.Helper()
	dir := t.TempDir()
	tree := fixtures.NewTree(filepath.Join(dir, "tree")).With(fixtures.Debian).With(fixtures.Awkward)
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "image")
	if err := s.Make(tree.Root, path); err != nil {
		t.Fatal(err)
	}
	img, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func FuzzImage(f *testing.F) {
	f.Add(sample(nil))
	// The fuzzer spends its time on large seeds in vain.
	const largest = 4 << 10
	for name := range compressionByName {
		f.Add(realImage(f, fixtures.Squashfs{Compression: name, Extra: []string{"-nopad", "-wildcards", "-e", "awkward", "usr"}}))
	}
	for _, test := range hostile {
		if img := test.image(); len(img) < largest {
			f.Add(img)
		}
	}
	f.Fuzz(mustStayBounded)
}
