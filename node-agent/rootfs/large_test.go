package rootfs_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// shadowed is set where the race detector runs. The tests here are left to a run without it, which make test-unit has.
var shadowed bool

func skipShadowed(t *testing.T) {
	t.Helper()
	if shadowed {
		t.Skip("runs without the race detector")
	}
}

// inMemory returns a directory in memory where that is allowed: what these tests write is cheap there.
func inMemory(t *testing.T, size int64) string {
	t.Helper()
	dir := t.TempDir()
	unmount, err := fixtures.Tmpfs(dir, size)
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

func unsquashfs(t *testing.T, image, out string) {
	t.Helper()
	if msg, err := exec.Command("unsquashfs", "-no-progress", "-quiet", "-dest", out, image).CombinedOutput(); err != nil {
		t.Fatalf("unsquashfs: %v\n%s", err, msg)
	}
}

const manyDirs, manyFiles = 100, 2000 // in each

// manyFile describes file f of directory d of the many.
func manyFile(d, f int) (header tar.Header, content string) {
	content = fmt.Sprintf("file %d of directory %d\n", f, d)
	return tar.Header{
		Name: fmt.Sprintf("%d/%d", d, f), Size: int64(len(content)),
		Mode: [...]int64{0o644, 0o755, 0o400, 0o640}[(d+f)%4], ModTime: fixtures.Epoch.Add(time.Duration(f) * time.Minute),
	}, content
}

// writeMany writes the tar archive of the many. They never lie on a disk.
func writeMany(to io.Writer) error {
	w := tar.NewWriter(to)
	for d := range manyDirs {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: fmt.Sprint(d), Mode: 0o755, ModTime: fixtures.Epoch}); err != nil {
			return err
		}
		for f := range manyFiles {
			header, content := manyFile(d, f)
			if err := w.WriteHeader(&header); err != nil {
				return err
			}
			if _, err := io.WriteString(w, content); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

// checkMany compares every file with what the archive says of it.
func checkMany(t *testing.T, fsys fs.FS) {
	t.Helper()
	seen := 0
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		var d, f int
		if _, err := fmt.Sscanf(name, "%d/%d", &d, &f); err != nil || d >= manyDirs || f >= manyFiles {
			return fmt.Errorf("%q is none of them", name)
		}
		want, wantContent := manyFile(d, f)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if name != want.Name || info.Mode() != fs.FileMode(want.Mode) || !info.ModTime().Equal(want.ModTime) {
			return fmt.Errorf("%q: %v %v, want %q %o %v", name, info.Mode(), info.ModTime(), want.Name, want.Mode, want.ModTime)
		}
		if content, err := fs.ReadFile(fsys, name); err != nil || string(content) != wantContent {
			return fmt.Errorf("%q: %q %v", name, content, err)
		}
		seen++
		return nil
	})
	if err != nil || seen != manyDirs*manyFiles {
		t.Errorf("%d files, %v", seen, err)
	}
}

func TestTwoHundredThousandFilesAreReadAndExtractedAsByUnsquashfs(t *testing.T) {
	skipShadowed(t)
	image := filepath.Join(t.TempDir(), "image")
	archive, to := io.Pipe()
	go func() { to.CloseWithError(writeMany(to)) }()
	// mksquashfs looks for duplicates among all files of one size: minutes for these.
	if err := (fixtures.Squashfs{Extra: []string{"-no-duplicates"}}).MakeFromTar(archive, image); err != nil {
		t.Fatal(err)
	}
	img, fsys := openFS(t, image)
	t.Run("in place", func(t *testing.T) { checkMany(t, fsys) })
	t.Run("extracted", func(t *testing.T) {
		out := filepath.Join(inMemory(t, 2<<30), "out")
		sizes, err := img.Extract(context.Background(), out, rootfs.ExtractOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if sizes.Files != manyDirs*manyFiles || sizes.Directories != manyDirs+1 {
			t.Errorf("%+v", sizes)
		}
		checkMany(t, os.DirFS(out))
	})
	t.Run("unsquashfs", func(t *testing.T) {
		out := filepath.Join(inMemory(t, 2<<30), "out")
		unsquashfs(t, image, out)
		checkMany(t, os.DirFS(out))
	})
}

const sparseSize = 8 << 30

// sparsePieces are all that the sparse file holds: at both ends, and across two blocks.
var sparsePieces = map[int64]string{0: "begin", 5<<30 - 3: "middle", sparseSize - 3: "end"}

// checkSparse compares every byte of content from one place to another.
func checkSparse(t *testing.T, content io.ReaderAt, from, to int64) {
	t.Helper()
	const step = 1 << 20
	got, zeros, want := make([]byte, step), make([]byte, step), make([]byte, step)
	for off := from; off < to; off += step {
		n := int(min(step, to-off))
		if m, err := content.ReadAt(got[:n], off); m != n || err != nil && err != io.EOF {
			t.Fatalf("%d of %d bytes at %d: %v", m, n, off, err)
		}
		expected := zeros[:n]
		for at, text := range sparsePieces {
			if at+int64(len(text)) <= off || at >= off+int64(n) {
				continue
			}
			if &expected[0] == &zeros[0] {
				expected = want[:n]
				clear(expected)
			}
			copy(expected[max(at-off, 0):], text[max(off-at, 0):])
		}
		if !bytes.Equal(got[:n], expected) {
			t.Fatalf("the content differs between %d and %d", off, off+int64(n))
		}
	}
}

// checkSparseOnDisk compares what is stored of a file. Elsewhere are holes, which hold nothing of the pieces.
func checkSparseOnDisk(t *testing.T, path string) {
	t.Helper()
	if _, st := stat(t, path); st.Size != sparseSize || st.Blocks*512 > 64<<10 {
		t.Errorf("%d bytes in %d sectors", st.Size, st.Blocks)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at, text := range sparsePieces {
		checkSparse(t, f, at, at+int64(len(text)))
	}
	for end := int64(0); ; {
		start, err := unix.Seek(int(f.Fd()), end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return
		}
		if err == nil {
			end, err = unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE)
		}
		if err != nil {
			t.Fatal(err)
		}
		checkSparse(t, f, start, end)
	}
}

func TestASparseFileOfEightGigabytesIsReadAndExtractedAsByUnsquashfs(t *testing.T) {
	skipShadowed(t)
	dir := inMemory(t, 64<<20)
	tree := fixtures.NewTree(filepath.Join(dir, "tree")).Sparse("sparse", sparseSize, sparsePieces)
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "image")
	// The smallest blocks give the longest list of them: 2 million.
	if err := (fixtures.Squashfs{BlockSize: 4096}).Make(tree.Root, image); err != nil {
		t.Fatal(err)
	}
	img, fsys := openFS(t, image)
	t.Run("in place", func(t *testing.T) {
		f, err := fsys.Open("sparse")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		checkSparse(t, f.(io.ReaderAt), 0, sparseSize)
	})
	t.Run("extracted", func(t *testing.T) {
		out := filepath.Join(dir, "ours")
		sizes, err := img.Extract(context.Background(), out, rootfs.ExtractOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if sizes.Bytes != sparseSize || sizes.Allocated != 4*4096 {
			t.Errorf("%+v", sizes)
		}
		checkSparseOnDisk(t, filepath.Join(out, "sparse"))
	})
	t.Run("unsquashfs", func(t *testing.T) {
		out := filepath.Join(dir, "theirs")
		unsquashfs(t, image, out)
		checkSparseOnDisk(t, filepath.Join(out, "sparse"))
	})
}
