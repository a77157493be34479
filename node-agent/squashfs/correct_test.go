package squashfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// record is all that a file is, in a form that can be compared and printed.
type record struct {
	Mode    string
	UID     uint32
	GID     uint32
	MTime   int64
	Links   uint64
	Size    int64
	Content string // digest
	Target  string
	Device  uint64
	Xattrs  string
}

// snapshotOfDirectory describes a directory tree on disk.
func snapshotOfDirectory(t *testing.T, root string) map[string]record {
	t.Helper()
	snapshot := map[string]record{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		r := record{Mode: info.Mode().String(), UID: st.Uid, GID: st.Gid, MTime: st.Mtim.Sec, Xattrs: xattrsOnDisk(t, path)}
		switch {
		case info.Mode().IsRegular():
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			r.Size, r.Content, r.Links = info.Size(), digest(t, f), st.Nlink
		case info.Mode()&fs.ModeSymlink != 0:
			r.Target, err = os.Readlink(path)
		case info.Mode()&fs.ModeDevice != 0:
			r.Device = st.Rdev
		}
		name, relErr := filepath.Rel(root, path)
		if relErr != nil {
			return relErr
		}
		snapshot[name] = r
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func xattrsOnDisk(t *testing.T, path string) string {
	t.Helper()
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil {
		if err == unix.ENOTSUP {
			return ""
		}
		t.Fatal(err)
	}
	var list []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s=%q", name, value[:n]))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func digest(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	// A length that is no power of two meets the edges of blocks in all ways.
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, make([]byte, 10_007)); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// snapshotOfImage describes what the Reader shows.
func snapshotOfImage(t *testing.T, image string) map[string]record {
	t.Helper()
	r := openImage(t, image)
	snapshot := map[string]record{}
	err := r.Walk(context.Background(), func(v *Visit) error {
		i := v.Inode
		rec := record{Mode: i.Mode().String(), UID: i.UID, GID: i.GID, MTime: int64(i.MTime)}
		list, err := r.Xattrs(i)
		if err != nil {
			return err
		}
		var texts []string
		for _, x := range list {
			texts = append(texts, fmt.Sprintf("%s=%q", x.Name, x.Value))
		}
		slices.Sort(texts)
		rec.Xattrs = strings.Join(texts, " ")
		switch i.Type {
		case Regular:
			f, err := r.Open(i)
			if err != nil {
				return err
			}
			rec.Size, rec.Links = f.Size(), uint64(i.Links)
			rec.Content = digest(t, io.NewSectionReader(f, 0, f.Size()))
		case Symlink:
			rec.Target, err = r.Readlink(i)
		case CharDevice, BlockDevice:
			rec.Device = unix.Mkdev(i.Device>>8&0xfff, i.Device&0xff|i.Device>>12&0xfff00)
		}
		snapshot[nonEmpty(string(v.Path))] = rec
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func openImage(t testing.TB, image string) *Reader {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// inMemory returns a directory in memory where that is allowed: thousands of files are cheap there.
func inMemory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	unmount, err := fixtures.Tmpfs(dir, 256<<20)
	t.Cleanup(func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func unsquashfs(t *testing.T, image string) map[string]record {
	t.Helper()
	out := filepath.Join(inMemory(t), "out")
	cmd := exec.Command("unsquashfs", "-no-progress", "-dest", out, image)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("unsquashfs: %v\n%s", err, msg)
	}
	return snapshotOfDirectory(t, out)
}

// fullTree has every kind of file and enough data to fill blocks of 1 MiB.
func fullTree(t *testing.T) string {
	t.Helper()
	tree := fixtures.NewTree(filepath.Join(inMemory(t), "tree")).With(fixtures.Debian).With(fixtures.Alpine).With(fixtures.Python).With(fixtures.Node).With(fixtures.Awkward).
		Filled("data/1.2 MiB", 1, 5<<18).Filled("data/the same again", 1, 5<<18).
		Filled("data/exactly 1 MiB", 2, 1<<20).Filled("data/one byte more", 3, 128<<10+1).Filled("data/one byte less", 4, 128<<10-1).
		Filled("data/4096", 5, 4096).Filled("data/4097", 6, 4097).File("data/one byte", "x").
		Device("dev/null", 1, 3).Device("dev/large", 511, 1<<19+5).
		Owner("data/4096", 1000, 100).Owner("data/4097", 65534, 1<<30)
	for i := range 600 { // more than one metadata block, more than two groups
		tree.Filled(fmt.Sprintf("many/%d of many files", i), uint64(i), i*3)
	}
	if tree.Dir("probe").Xattr("probe", "user.probe", "1").Done() == nil {
		tree.Xattr("data/4096", "user.short", "value").Xattr("data/4097", "user.long", strings.Repeat("long ", 500)).
			Xattr("data/4097", "trusted.x", "").Xattr("data", "security.on-a-directory", "\x00\xff").Xattr("data/one byte", "user.long", strings.Repeat("long ", 500))
	}
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	return tree.Root
}

func TestReadingInPlaceEqualsTheSourceTreeAndUnsquashfs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("device nodes and owners need root")
	}
	tree := fullTree(t)
	want := snapshotOfDirectory(t, tree)
	var cases []fixtures.Squashfs
	for _, compression := range []string{"gzip", "zstd", "xz", "lz4"} {
		for _, size := range []int{4 << 10, 128 << 10, 1 << 20} {
			cases = append(cases, fixtures.Squashfs{Compression: compression, BlockSize: size})
		}
	}
	for _, options := range [][]string{{"-no-fragments"}, {"-always-use-fragments"}, {"-no-duplicates"}, {"-no-exports"}, {"-no-sparse"},
		{"-noI", "-noD"}, {"-noI", "-noD", "-noF", "-noX"}, {"-tailends"}} {
		cases = append(cases, fixtures.Squashfs{BlockSize: 4 << 10, Extra: options}, fixtures.Squashfs{Compression: "zstd", Extra: options})
	}
	cases = append(cases, fixtures.Squashfs{Compression: "xz", Extra: []string{"-Xbcj", "x86"}},
		fixtures.Squashfs{Compression: "gzip", Extra: []string{"-Xstrategy", "filtered,huffman_only,fixed", "-Xwindow-size", "9"}},
		fixtures.Squashfs{Compression: "lz4", Extra: []string{"-Xhc"}})
	for _, s := range cases {
		t.Run(fmt.Sprintf("%s %d %s", s.Compression, s.BlockSize, strings.Join(s.Extra, " ")), func(t *testing.T) {
			image := filepath.Join(inMemory(t), "image")
			if err := s.Make(tree, image); err != nil {
				t.Fatal(err)
			}
			got := snapshotOfImage(t, image)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the image differs from its source (-source +image):\n%s", diff)
			}
			if diff := cmp.Diff(unsquashfs(t, image), got); diff != "" {
				t.Errorf("the image differs from what unsquashfs made of it (-unsquashfs +image):\n%s", diff)
			}
		})
	}
	if len(want) < 600 {
		t.Fatalf("only %d files were compared", len(want))
	}
}

// The filter changes bytes after e8 and e9 only, so it takes real programs to meet it.
func TestProgramsBehindTheX86BranchFilterAreReadRight(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	want = want[:min(len(want), 1<<20)]
	tree := fixtures.NewTree(filepath.Join(t.TempDir(), "tree")).File("program", string(want))
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "image")
	if err := (fixtures.Squashfs{Compression: "xz", BlockSize: 256 << 10, Extra: []string{"-Xbcj", "x86"}}).Make(tree.Root, image); err != nil {
		t.Fatal(err)
	}
	r := openImage(t, image)
	inode, err := r.Resolve("program", true)
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Open(inode)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the program differs: %v", err)
	}
}

func TestSizesAreExact(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("device nodes need root")
	}
	tree := fullTree(t)
	image := filepath.Join(t.TempDir(), "image")
	if err := (fixtures.Squashfs{BlockSize: 4096}).Make(tree, image); err != nil {
		t.Fatal(err)
	}
	var want Sizes
	linked := map[uint64]bool{}
	for _, path := range slices.Sorted(maps.Keys(snapshotOfDirectory(t, tree))) {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(tree, path), &st); err != nil {
			t.Fatal(err)
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			want.Directories++
			want.Disk += 4096
		case unix.S_IFLNK:
			want.Symlinks++
			want.Disk += 4096
		case unix.S_IFREG:
			if linked[st.Ino] {
				want.HardLinks++
				continue
			}
			linked[st.Ino] = true
			want.Files++
			want.Bytes += st.Size
			stored := storedBytes(t, filepath.Join(tree, path), 4096)
			want.Allocated += stored
			want.Disk += (stored + 4095) / 4096 * 4096
		default:
			want.Special++
		}
	}
	got, err := openImage(t, image).Measure(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sizes (-tree +image):\n%s", diff)
	}
}

// storedBytes counts the blocks that are not all zero: mksquashfs stores no others.
func storedBytes(t *testing.T, path string, blockSize int) (stored int64) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for block := range slices.Chunk(content, blockSize) {
		if len(bytes.Trim(block, "\x00")) > 0 {
			stored += int64(len(block))
		}
	}
	return stored
}
