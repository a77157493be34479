package squashfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// readEverything does with an image what a scan and an extraction would do. It
// returns the first error and reads no file beyond limit bytes.
func readEverything(img []byte, limit int64) error {
	r, err := New(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		return err
	}
	if _, err := r.Measure(context.Background()); err != nil {
		return err
	}
	return r.Walk(context.Background(), func(v *Visit) error {
		if _, err := r.Xattrs(v.Inode); err != nil {
			return err
		}
		switch v.Inode.Type {
		case Symlink:
			_, err := r.Readlink(v.Inode)
			return err
		case Regular:
			f, err := r.Open(v.Inode)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, io.NewSectionReader(f, 0, min(f.Size(), limit)))
			return err
		}
		inode, err := r.Resolve(nonEmpty(string(v.Path)), false)
		if err == nil && inode.Number != v.Inode.Number {
			err = fmt.Errorf("%q resolves to inode %d, was shown as %d", v.Path, inode.Number, v.Inode.Number)
		}
		return err
	})
}

func nonEmpty(path string) string {
	if path == "" {
		return "."
	}
	return path
}

// bounded runs f and fails when it takes too long or allocates too much: all it
// allocates in total, which is more than it holds at any time.
func bounded(t *testing.T, longest time.Duration, mostBytes uint64, f func() error) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	err := f()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if took > longest {
		t.Errorf("took %v, more than %v", took, longest)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > mostBytes {
		t.Errorf("allocated %d KiB, more than %d", got>>10, mostBytes>>10)
	}
	return err
}

type forge = fixtures.Forge
type node = fixtures.ForgedNode
type entry = fixtures.ForgedEntry

// withFile forges an image with one file, which change may spoil.
func withFile(change func(f *forge, n *node)) func() []byte {
	return func() []byte {
		f := &forge{}
		n := f.File("content")
		change(f, n)
		f.Root = fixtures.ForgedDir(entry{Name: "file", Node: n})
		return f.Image()
	}
}

func withRoot(root *node, change func(f *forge)) func() []byte {
	return func() []byte {
		f := &forge{Root: root}
		if change != nil {
			change(f)
		}
		return f.Image()
	}
}

func withSuperblock(at int, size int, value uint64) func() []byte {
	return withFile(func(f *forge, _ *node) {
		f.Superblock = func(sb []byte) {
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], value)
			copy(sb[at:at+size], b[:])
		}
	})
}

func named(names ...string) func() []byte {
	return func() []byte {
		f := &forge{Root: fixtures.ForgedDir()}
		for _, name := range names {
			f.Root.Entries = append(f.Root.Entries, entry{Name: name, Node: f.File("x")})
		}
		return f.Image()
	}
}

func xattrs(raw []byte, records ...fixtures.XattrRecord) func() []byte {
	return withFile(func(f *forge, n *node) {
		n.Type, n.Xattr = 9, 0
		f.Xattrs, f.XattrTable = raw, records
	})
}

func u32(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// loop forges a directory that contains itself, or one above it.
func loop(depth int) func() []byte {
	return func() []byte {
		root := fixtures.ForgedDir()
		dir := root
		for range depth {
			next := fixtures.ForgedDir()
			dir.Entries = []entry{{Name: "d", Node: next}}
			dir = next
		}
		dir.Entries = []entry{{Name: "loop", Node: root}}
		return (&forge{Root: root}).Image()
	}
}

func nested(depth int) func() []byte {
	return func() []byte {
		root := fixtures.ForgedDir()
		for dir := root; depth > 0; depth-- {
			next := fixtures.ForgedDir()
			dir.Entries = []entry{{Name: "d", Node: next}}
			dir = next
		}
		return (&forge{Root: root}).Image()
	}
}

// doubling forges levels of which each names the next one twice: 2^levels paths.
func doubling(levels int) func() []byte {
	return func() []byte {
		dir := fixtures.ForgedDir()
		for range levels {
			dir = fixtures.ForgedDir(entry{Name: "a", Node: dir}, entry{Name: "b", Node: dir})
		}
		return (&forge{Root: dir}).Image()
	}
}

// sharedListing forges n directories that all claim one listing of n files.
func sharedListing(n int) func() []byte {
	return func() []byte {
		f := &forge{}
		long := &node{Type: 8, Links: 2, Xattr: fixtures.NoXattr}
		file := f.File("x")
		for i := range n {
			long.Entries = append(long.Entries, entry{Name: fmt.Sprintf("%06d", i), Node: file})
		}
		f.Root = &node{Type: 8, Links: 2, Xattr: fixtures.NoXattr, Entries: []entry{{Name: "0", Node: long}}}
		for i := range n {
			f.Root.Entries = append(f.Root.Entries, entry{Name: fmt.Sprintf("1%06d", i),
				Node: &node{Type: 8, Links: 2, Xattr: fixtures.NoXattr, SameListing: long}})
		}
		return f.Image()
	}
}

var hostile = []struct {
	name  string
	image func() []byte
	kind  Kind
	says  string
}{
	{"an empty file", func() []byte { return nil }, Corrupt, "incomplete copy"},
	{"a superblock cut off", func() []byte { return []byte("hsqs")[:4] }, Corrupt, "incomplete copy"},
	{"no magic", withSuperblock(0, 4, 0), Corrupt, "no SquashFS magic"},
	{"big-endian", withSuperblock(0, 4, 0x68737173), Unsupported, "big-endian"},
	{"version 3.1", withSuperblock(28, 4, 0x00010003), Unsupported, "version 3.1"},
	{"lzma", withSuperblock(20, 2, 2), Unsupported, "lzma"},
	{"lzo", withSuperblock(20, 2, 3), Unsupported, "lzo"},
	{"an unknown compressor", withSuperblock(20, 2, 77), Corrupt, "unknown compressor 77"},
	{"a block size that is no power of two", withSuperblock(12, 4, 130_000), Corrupt, "block size"},
	{"a block size of 1 GiB", withSuperblock(12, 4, 1<<30), Corrupt, "block size"},
	{"a block size of 0", withSuperblock(12, 4, 0), Corrupt, "block size"},
	{"no inodes", withSuperblock(4, 4, 0), Corrupt, "no inodes"},
	{"4 billion inodes", withSuperblock(4, 4, 1<<32-1), Unsupported, "inodes claimed"},
	{"fewer inodes than there are", withSuperblock(4, 4, 1), Corrupt, "inode number 2"},
	{"4 billion fragments", withSuperblock(16, 4, 1<<32-1), Corrupt, "no fragment table"},
	{"no ids", withSuperblock(26, 2, 0), Corrupt, "no user"},
	{"65535 ids", withSuperblock(26, 2, 65535), Corrupt, "larger than the image"},
	{"an id table behind the end", withSuperblock(48, 8, 1<<40), Corrupt, "id table"},
	{"an id table at a negative offset", withSuperblock(48, 8, 1<<64-8), Corrupt, "id table"},
	{"an inode table in the superblock", withSuperblock(64, 8, 8), Corrupt, "inode table"},
	{"an inode table behind the directory table", withSuperblock(72, 8, 97), Corrupt, "directory table"},
	{"longer than the file", withSuperblock(40, 8, 1<<40), Corrupt, "incomplete copy"},
	{"shorter than its superblock", withSuperblock(40, 8, 95), Corrupt, "incomplete copy"},
	{"a root inode behind the table", withSuperblock(32, 8, 1<<32), Corrupt, "behind the inode table"},
	{"a root inode behind its block", withSuperblock(32, 8, 8191), Corrupt, "reference to byte"},
	{"an xattr table behind the end", withSuperblock(56, 8, 1<<50), Corrupt, "xattr table"},
	{"an export table that lies nowhere", withSuperblock(88, 8, 96), Corrupt, "export table"},

	{"the name ..", named(".."), Corrupt, `lists the name ".."`},
	{"the name .", named("."), Corrupt, `lists the name "."`},
	{"a name with a slash", named("a/b"), Corrupt, "slash"},
	{"an absolute name", named("/etc"), Corrupt, "slash"},
	{"a name with a NUL", named("a\x00b"), Corrupt, "NUL"},
	{"a name twice", named("a", "a"), Corrupt, "twice"},
	{"names not in order", named("b", "a"), Corrupt, "not in order"},
	{"a name of 64 KiB", withRoot(fixtures.ForgedDir(entry{Name: "a", Size: 0xffff, Node: fixtures.ForgedLink("x")}), nil), Corrupt, "a name of 65536 bytes"},
	{"an entry of an unknown type", withRoot(fixtures.ForgedDir(entry{Name: "a", Type: 9, Node: fixtures.ForgedLink("x")}), nil), Corrupt, "unknown type 9"},
	{"an entry of another type than its inode", withRoot(fixtures.ForgedDir(entry{Name: "a", Type: 2, Node: fixtures.ForgedLink("x")}), nil), Corrupt, "refers to inode"},
	{"an entry with another number than its inode", withRoot(fixtures.ForgedDir(entry{Name: "a", Number: 1, Node: fixtures.ForgedLink("x")}), nil), Corrupt, "refers to inode"},
	{"an entry for an inode behind the table", withRoot(fixtures.ForgedDir(entry{Name: "a", Ref: 1 << 40, Node: fixtures.ForgedLink("x")}), nil), Corrupt, "inode"},
	{"an entry for the middle of an inode", withRoot(fixtures.ForgedDir(entry{Name: "a", Ref: 3, Node: fixtures.ForgedLink("x")}), nil), Corrupt, "inode"},
	{"a listing longer than its table", withRoot(&node{Type: 8, Links: 2, ListingSize: 1 << 30, Xattr: fixtures.NoXattr, Entries: []entry{{Name: "a", Node: fixtures.ForgedLink("x")}}}, nil), Corrupt, "longer than the directory table"},
	{"a listing that ends in an entry", withRoot(&node{Type: 1, Links: 2, ListingSize: 20, Entries: []entry{{Name: "a", Node: fixtures.ForgedLink("x")}}}, nil), Corrupt, "ends within an entry"},
	{"a group of 4 billion entries", withRoot(fixtures.ForgedDir(entry{Name: "a", Node: fixtures.ForgedLink("x")}), func(f *forge) {
		f.Listings = func(b []byte) []byte { copy(b, "\xff\xff\xff\xff"); return b }
	}), Corrupt, "group of more than 256"},
	{"a directory in itself", loop(0), Corrupt, "reached twice"},
	{"a directory in a directory below it", loop(5), Corrupt, "reached twice"},
	{"a directory with two parents", doubling(2), Corrupt, "reached twice"},
	{"2^60 paths", doubling(60), Corrupt, "reached twice"},
	{"100,000 nested directories", nested(100_000), Corrupt, "nested more than 2048 deep"},
	{"3,000 directories with one listing of 3,000 names", sharedListing(3000), Corrupt, "share listings"},
	{"a root that is a file", func() []byte {
		f := &forge{}
		f.Root = f.File("x")
		return f.Image()
	}, Corrupt, "root is not a directory"},
	{"an inode of an unknown type", withFile(func(_ *forge, n *node) { n.Type = 15 }), Corrupt, "type"},
	{"an inode with the number 0", withFile(func(f *forge, n *node) {
		f.Inodes = func(b []byte) []byte { copy(b[len(b)-4-16-4:], u32(0)); return b }
	}), Corrupt, "inode number 0"},
	{"an inode of an unknown user", withFile(func(_ *forge, n *node) { n.UID = 7 }), Corrupt, "id 7 of 1"},

	{"a symlink of 4 GiB", withRoot(fixtures.ForgedDir(entry{Name: "a", Node: &node{Type: 3, Target: "x", TargetSize: 1<<32 - 1}}), nil), Corrupt, "4294967295 bytes long"},
	{"a symlink to nothing", withRoot(fixtures.ForgedDir(entry{Name: "a", Node: &node{Type: 3}}), nil), Corrupt, "0 bytes long"},
	{"a symlink with a NUL", withRoot(fixtures.ForgedDir(entry{Name: "a", Node: fixtures.ForgedLink("a\x00b")}), nil), Corrupt, "NUL"},
	{"a symlink behind the table's end", withRoot(fixtures.ForgedDir(entry{Name: "a", Node: &node{Type: 3, Target: "x", TargetSize: 4000}}), nil), Corrupt, "outside of its table"},

	{"a file of 8 EiB", withFile(func(_ *forge, n *node) { n.Type, n.Xattr, n.Size = 9, fixtures.NoXattr, 1<<63-1 }), Corrupt, "more blocks than"},
	{"a file of negative size", withFile(func(_ *forge, n *node) { n.Type, n.Xattr, n.Size = 9, fixtures.NoXattr, 1<<63+5 }), Corrupt, "outside of the image"},
	{"a file at a negative offset", withFile(func(_ *forge, n *node) { n.Type, n.Xattr, n.Start = 9, fixtures.NoXattr, 1<<63+5 }), Corrupt, "outside of the image"},
	{"a file with fewer blocks than its size", withFile(func(_ *forge, n *node) { n.Size = 100 << 20 }), Corrupt, "outside of its table"},
	{"a block behind the end", withFile(func(_ *forge, n *node) { n.Blocks[0] = 100_000 }), Corrupt, "outside of the image"},
	{"a block of 16 MiB", withFile(func(f *forge, n *node) {
		n.Start, n.Blocks[0] = f.Data(make([]byte, 1<<24)), 1<<24-1
	}), Corrupt, "blocks have"},
	{"a block that is no zlib stream", withFile(func(_ *forge, n *node) { n.Blocks[0] = 7 }), Corrupt, "zlib"},
	{"a block that inflates to 16 MiB", withFile(func(f *forge, n *node) {
		b := fixtures.Deflate(make([]byte, 16<<20))
		n.Start, n.Blocks[0] = f.Data(b), uint32(len(b))
	}), Corrupt, "inflates"},
	{"a stored block shorter than the file", withFile(func(_ *forge, n *node) { n.Size++ }), Corrupt, "inflates to 7 bytes, not 8"},
	{"a stored block longer than the file", withFile(func(_ *forge, n *node) { n.Size-- }), Corrupt, "inflates beyond"},
	{"a block whose checksum is wrong", withFile(func(f *forge, n *node) {
		b := fixtures.Deflate([]byte("content"))
		b[len(b)-1] ^= 1
		n.Start, n.Blocks[0] = f.Data(b), uint32(len(b))
	}), Corrupt, "checksum"},
	{"a fragment that is not there", withFile(func(_ *forge, n *node) { n.Fragment, n.Blocks = 3, nil }), Corrupt, "fragment 3 of 0"},
	{"a fragment behind the end", withFile(func(f *forge, n *node) {
		n.Fragment, n.Blocks = f.AddFragment(1<<40, 10), nil
	}), Corrupt, "outside of the image"},
	{"a fragment shorter than its file", withFile(func(f *forge, n *node) {
		n.Fragment, n.Blocks, n.Offset = f.AddFragment(f.Data([]byte("abc")), 3|fixtures.NotPacked), nil, 1
	}), Corrupt, "outside of its fragment"},
	{"a fragment offset of 4 GiB", withFile(func(f *forge, n *node) {
		n.Fragment, n.Blocks, n.Offset = f.AddFragment(f.Data([]byte("abc")), 3|fixtures.NotPacked), nil, 1<<32-1
	}), Corrupt, "outside of its fragment"},
	{"a fragment that inflates to 16 MiB", withFile(func(f *forge, n *node) {
		b := fixtures.Deflate(make([]byte, 16<<20))
		n.Fragment, n.Blocks = f.AddFragment(f.Data(b), uint32(len(b))), nil
	}), Corrupt, "inflates"},
	{"a fragment table that lies elsewhere", withFile(func(f *forge, n *node) {
		n.Fragment, n.Blocks = f.AddFragment(96, 7|fixtures.NotPacked), nil
		f.Pointers = func(name string, p []byte) {
			if name == "fragment" {
				copy(p, "\xff\xff\xff\xff\xff\xff\xff\x7f")
			}
		}
	}), Corrupt, "fragment table"},

	{"an inode table that inflates to 16 MiB", withFile(func(f *forge, _ *node) {
		f.PackInodes = func([]byte) []byte {
			b := fixtures.Deflate(make([]byte, 1<<20))
			return append(binary.LittleEndian.AppendUint16(nil, uint16(len(b))), b...)
		}
	}), Corrupt, "inflates beyond"},
	{"a metadata block of no bytes", withFile(func(f *forge, _ *node) {
		f.PackInodes = func([]byte) []byte { return []byte{0, 0, 0, 0} }
	}), Corrupt, "claims 0 bytes"},
	{"a metadata block of 32 KiB", withFile(func(f *forge, _ *node) {
		f.PackInodes = func([]byte) []byte { return append([]byte{0xff, 0xff}, make([]byte, 32<<10)...) }
	}), Corrupt, "claims 32767 bytes"},
	{"a metadata block longer than its table", withFile(func(f *forge, _ *node) {
		f.PackInodes = func(b []byte) []byte { return append([]byte{0xff, 0x9f}, b...) }
	}), Corrupt, "claims 8191 bytes"},

	{"xattrs that are not there", withFile(func(_ *forge, n *node) { n.Type, n.Xattr = 9, 5 }), 0, ""},
	{"xattrs behind the table", xattrs(u32(0), fixtures.XattrRecord{Ref: 1 << 40, Count: 1}), Corrupt, "xattr"},
	{"4 billion xattrs", xattrs([]byte{0, 0, 1, 0, 'a', 0, 0, 0, 0}, fixtures.XattrRecord{Count: 1<<32 - 1}), Corrupt, "outside of its table"},
	{"an xattr value of 4 GiB", xattrs(append([]byte{0, 0, 1, 0, 'a'}, u32(1<<32-1)...), fixtures.XattrRecord{Count: 1}), Corrupt, "value of 4294967295 bytes"},
	{"an xattr of an unknown namespace", xattrs([]byte{9, 0, 1, 0, 'a', 0, 0, 0, 0}, fixtures.XattrRecord{Count: 1}), Corrupt, "kind 0x9"},
	{"an xattr name of 64 KiB", xattrs([]byte{0, 0, 0xff, 0xff}, fixtures.XattrRecord{Count: 1}), Corrupt, "name of 65535 bytes"},
	{"an xattr value elsewhere, of 1 byte", xattrs(append([]byte{0, 1, 1, 0, 'a'}, u32(1, 0)...), fixtures.XattrRecord{Count: 1}), Corrupt, "refers to its value"},
	{"an xattr value outside", xattrs(append([]byte{0, 1, 1, 0, 'a'}, u32(8, 0xffffffff, 0xffff)...), fixtures.XattrRecord{Count: 1}), Corrupt, "xattr"},
	{"3 million xattrs of one byte", xattrs(bytes.Repeat([]byte{0, 0, 0, 0, 0, 0, 0, 0}, 40_000), fixtures.XattrRecord{Count: 3_000_000}), Corrupt, "more xattrs than"},
}

func TestAHostileImageGivesAnErrorThatNamesTheDefect(t *testing.T) {
	for _, test := range hostile {
		t.Run(test.name, func(t *testing.T) {
			img := test.image()
			err := bounded(t, 2*time.Second, 8<<20, func() error { return readEverything(img, 1<<20) })
			var e *Error
			switch {
			case test.kind == 0 && err != nil:
				t.Errorf("harmless, but gives %v", err)
			case test.kind == 0:
			case !errors.As(err, &e) || e.Kind != test.kind || !strings.Contains(err.Error(), test.says):
				t.Errorf("got %v, want an error of kind %d that says %q", err, test.kind, test.says)
			}
		})
	}
}

// A FIFO inside of the image, or anything else that is not a file, is shown but
// cannot be opened as one.
func TestOnlyRegularFilesHaveContent(t *testing.T) {
	for _, typ := range []uint16{1, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14} {
		n := &node{Type: typ, Target: "x", Xattr: fixtures.NoXattr}
		img := withRoot(fixtures.ForgedDir(entry{Name: "a", Node: n}), nil)()
		r, err := New(bytes.NewReader(img), int64(len(img)))
		if err != nil {
			t.Fatal(err)
		}
		inode, err := r.Resolve("a", false)
		if err != nil {
			t.Fatalf("type %d: %v", typ, err)
		}
		if _, err := r.Open(inode); err == nil {
			t.Errorf("type %d was opened as a file", typ)
		}
	}
}

func TestAnImageCutOffAnywhereIsCorrupt(t *testing.T) {
	f := &forge{}
	f.Root = fixtures.ForgedDir(entry{Name: "file", Node: f.File(string(fixtures.Bytes(1, 5000)))})
	img := f.Image()
	for n := range len(img) {
		err := readEverything(img[:n], 1<<20)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Corrupt || !strings.Contains(err.Error(), "incomplete copy") {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(img), err)
		}
	}
	if err := readEverything(img, 1<<20); err != nil {
		t.Fatal(err)
	}
}

// shrinking is a file that loses its end after it was opened.
type shrinking struct {
	*bytes.Reader
	end int64
}

func (s *shrinking) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.end {
		return 0, io.EOF
	}
	n, err := s.Reader.ReadAt(p[:min(int64(len(p)), s.end-off)], off)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func TestAFileThatShrinksWhileItIsReadIsNotCorrupt(t *testing.T) {
	f := &forge{}
	f.Root = fixtures.ForgedDir(entry{Name: "file", Node: f.File("content")})
	img := f.Image()
	src := &shrinking{bytes.NewReader(img), int64(len(img))}
	r, err := New(src, int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	inode, err := r.Resolve("file", true)
	if err != nil {
		t.Fatal(err)
	}
	src.end = 100
	file, err := r.Open(inode)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.ReadAt(make([]byte, 7), 0)
	var e *Error
	if !errors.As(err, &e) || e.Kind != Shrunk {
		t.Errorf("got %v, want an error of kind Shrunk", err)
	}
}
