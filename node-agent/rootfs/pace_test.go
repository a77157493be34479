package rootfs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// asked counts what an image is about to ask its storage.
type asked struct{ requests, bytes, waiting, most atomic.Int64 }

func (a *asked) Answered() { a.waiting.Add(-1) }

func (a *asked) Ask(bytes int) {
	if waiting := a.waiting.Add(1); waiting > a.most.Load() {
		a.most.Store(waiting)
	}
	if bytes == 0 {
		a.requests.Add(1)
	}
	a.bytes.Add(int64(bytes))
}

// readAll reads every file.
func readAll(t *testing.T, img *rootfs.Image) (files int64) {
	t.Helper()
	root, err := img.FS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		_, err = fs.ReadFile(root, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestNothingIsReadOfAnImageWithoutItsTurn(t *testing.T) {
	dir := t.TempDir()
	sandbox, squashfs := filepath.Join(dir, "sandbox"), filepath.Join(dir, "squashfs")
	tree := fixtures.NewTree(sandbox).With(fixtures.Debian).Dir(".singularity.d").Filled("data/large", 1, 3<<20)
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	if err := (fixtures.Squashfs{}).Make(sandbox, squashfs); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{sandbox, squashfs} {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var a asked
		img, err := rootfs.OpenOn(&a, file)
		if err != nil {
			t.Fatal(err)
		}
		defer img.Close()
		files := readAll(t, img)
		if read := img.BytesRead(); read < 1<<20 || a.bytes.Load() < read {
			t.Errorf("%s: %d bytes were read, a turn was taken for %d", filepath.Base(path), read, a.bytes.Load())
		}
		if a.waiting.Load() != 0 || a.most.Load() == 0 {
			t.Errorf("%s: %d requests are said to be unanswered", filepath.Base(path), a.waiting.Load())
		}
		if path == sandbox && a.requests.Load() < files {
			t.Errorf("%d files were opened in %d turns", files, a.requests.Load())
		}
	}
}
