package rootfs_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

func TestVeryManyFilesAreReadAndExtractedRight(t *testing.T) {
	dirs, files := 10, 2000
	if large {
		dirs = 100 // 200,000: making, extracting and removing them takes a minute of system time
	}
	dir := t.TempDir()
	tree := fixtures.NewTree(filepath.Join(dir, "tree"))
	content := func(d, f int) string { return fmt.Sprintf("file %d of directory %d\n", f, d) }
	for d := range dirs {
		for f := range files {
			tree.File(fmt.Sprintf("%d/%d", d, f), content(d, f))
		}
	}
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	image, out := filepath.Join(dir, "image"), filepath.Join(dir, "out")
	// mksquashfs looks for duplicates among all files of one size: 200 s for these.
	if err := (fixtures.Squashfs{Extra: []string{"-no-duplicates"}}).Make(tree.Root, image); err != nil {
		t.Fatal(err)
	}
	img, fsys := openFS(t, image)
	sizes, err := img.Extract(context.Background(), out, rootfs.ExtractOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if sizes.Files != int64(dirs*files) || sizes.Directories != int64(dirs+1) {
		t.Errorf("%+v", sizes)
	}
	for d := range dirs {
		for f := range files {
			name := fmt.Sprintf("%d/%d", d, f)
			inPlace, err := fs.ReadFile(fsys, name)
			onDisk, diskErr := os.ReadFile(filepath.Join(out, name))
			if want := content(d, f); err != nil || diskErr != nil || string(inPlace) != want || string(onDisk) != want {
				t.Fatalf("%s: %q and %q, %v %v", name, inPlace, onDisk, err, diskErr)
			}
		}
	}
}

func TestASparseFileOfEightGigabytesStaysSparse(t *testing.T) {
	const size = 8 << 30
	pieces := map[int64]string{0: "begin", 5<<30 + 12345: "middle", size - 3: "end"}
	dir := t.TempDir()
	tree := fixtures.NewTree(filepath.Join(dir, "tree")).Sparse("sparse", size, pieces)
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	image, out := filepath.Join(dir, "image"), filepath.Join(dir, "out")
	// The smallest blocks give the longest list of them: 2 million.
	if err := (fixtures.Squashfs{BlockSize: 4096}).Make(tree.Root, image); err != nil {
		t.Fatal(err)
	}
	img, fsys := openFS(t, image)
	sizes, err := img.Extract(context.Background(), out, rootfs.ExtractOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if sizes.Bytes != size || sizes.Allocated != 3*4096 {
		t.Errorf("%+v", sizes)
	}
	if _, st := stat(t, filepath.Join(out, "sparse")); st.Size != size || st.Blocks*512 > 16*4096 {
		t.Errorf("%d bytes in %d sectors", st.Size, st.Blocks)
	}
	inPlace, err := fsys.Open("sparse")
	if err != nil {
		t.Fatal(err)
	}
	defer inPlace.Close()
	onDisk, err := os.Open(filepath.Join(out, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer onDisk.Close()
	for at, want := range pieces {
		for name, f := range map[string]io.ReaderAt{"in place": inPlace.(io.ReaderAt), "extracted": onDisk} {
			// With what is around it: zeros.
			got := make([]byte, len(want)+200)
			n, err := f.ReadAt(got, max(at-100, 0))
			if err != nil && err != io.EOF || strings.Trim(string(got[:n]), "\x00") != want {
				t.Errorf("%s at %d: %q %v", name, at, got[:n], err)
			}
		}
	}
	if !large { // the rest, all of it, needs -tags large: 8 GB are read three times
		return
	}
	source, err := os.Open(filepath.Join(tree.Root, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	want := digest(t, source)
	if got := digest(t, inPlace); got != want {
		t.Error("in place it differs from its source")
	}
	if got := digest(t, onDisk); got != want {
		t.Error("extracted it differs from its source")
	}
}

func digest(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}
