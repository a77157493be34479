package rootfs_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/test/fixtures"

	scalibrfs "github.com/google/osv-scalibr/fs"
)

var _ scalibrfs.FS = rootfs.FS(nil)

// The standard library's own test of an fs.FS knows only names of UTF-8.
func TestTheFileSystemKeepsTheContractOfIOFS(t *testing.T) {
	dir := t.TempDir()
	tree := fixtures.NewTree(filepath.Join(dir, "tree")).
		File("usr/lib/os-release", "ID=x\n").File("etc/debian_version", "12\n").File("var/status", "").Symlink("etc/os-release", "../usr/lib/os-release").
		Filled("opt/big", 1, 300_000).Hardlink("opt/again", "opt/big").Symlink("opt/link", "../etc/debian_version").Dir("empty")
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "image")
	if err := (fixtures.Squashfs{}).Make(tree.Root, image); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{image, tree.Root, "confined:" + tree.Root} {
		path, withoutOpenat2 := strings.CutPrefix(path, "confined:")
		rootfs.RefuseOpenat2(t, withoutOpenat2)
		_, fsys := openFS(t, path)
		if err := fstest.TestFS(fsys, "etc/debian_version", "opt/big", "opt/again", "var/status", "empty", "usr/lib/os-release"); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		if err := fsys.Err(); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
}

// scalibr walks with Stat, Open and ReadDir(1), and takes names as they come.
func TestAWalkMeetsEveryNameAlsoThoseThatAreNotUTF8(t *testing.T) {
	tree, image := awkwardTree(t, fixtures.Squashfs{})
	for _, path := range []string{image, tree} {
		_, fsys := openFS(t, path)
		seen := map[string]bool{}
		err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
			seen[name] = true
			if err == nil && d.Type().IsRegular() {
				_, err = fs.ReadFile(fsys, name)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		for _, name := range []string{"awkward/latin-\xe9\xff", "awkward/dir-\xfe/inside", "awkward/new\nline", "awkward/closed/inside"} {
			if !seen[name] {
				t.Errorf("%s: %q was not met", filepath.Base(path), name)
			}
		}
	}
}

func TestNamesThatLeaveTheImageAreInvalid(t *testing.T) {
	tree, image := awkwardTree(t, fixtures.Squashfs{})
	for _, path := range []string{image, tree} {
		_, fsys := openFS(t, path)
		for _, name := range []string{"", "/", "/etc", "..", "../etc", "etc/..", "etc//passwd", "etc/", "./etc"} {
			if _, err := fsys.Stat(name); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%s: Stat(%q) gives %v", filepath.Base(path), name, err)
			}
			if _, err := fsys.Open(name); !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%s: Open(%q) gives %v", filepath.Base(path), name, err)
			}
		}
		if fsys.Err() != nil {
			t.Errorf("%s: a bad name is no defect of the image: %v", filepath.Base(path), fsys.Err())
		}
	}
}

// A sandbox's owner can put links into it that lead out of it.
func TestALinkInASandboxCannotLeadOut(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree := fixtures.NewTree(filepath.Join(dir, "sandbox")).Dir(".singularity.d").
		File(".singularity.d/labels.json", `{"org.label-schema.build-arch": "arm64"}`).
		Symlink("absolute", secret).Symlink("relative", "../secret").Symlink("up", "..").Symlink("proc", "/proc/self/root").FIFO("fifo")
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	for _, withoutOpenat2 := range []bool{false, true} {
		rootfs.RefuseOpenat2(t, withoutOpenat2)
		checkSandbox(t, tree.Root)
	}
}

func checkSandbox(t *testing.T, root string) {
	t.Helper()
	img, fsys := openFS(t, root)
	if img.Info().Format != rootfs.FormatSandbox || img.Info().Architecture != "arm64" {
		t.Errorf("%+v", img.Info())
	}
	for _, name := range []string{"absolute", "relative", "up/secret", "proc"} {
		if b, err := fs.ReadFile(fsys, name); err == nil {
			t.Errorf("%s leads to %q", name, b)
		}
	}
	if entries, err := fsys.ReadDir("up"); err != nil || len(entries) != 6 {
		t.Errorf("up leads to %v, %v", entries, err)
	}
	// Opening a FIFO must not wait for somebody who writes to it.
	if f, err := fsys.Open("fifo"); err == nil {
		f.Close()
	}
}

func TestTheFirstDefectIsKeptForAScannerThatGoesOn(t *testing.T) {
	f := &fixtures.Forge{}
	broken := f.File("content")
	broken.Blocks[0] = 7 // no zlib stream
	f.Root = fixtures.ForgedDir(fixtures.ForgedEntry{Name: "broken", Node: broken}, fixtures.ForgedEntry{Name: "good", Node: f.File("x")})
	img, err := openBytes(f.Image())
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := img.FS(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fsys.Stat("nowhere"); !errors.Is(err, fs.ErrNotExist) || fsys.Err() != nil {
		t.Errorf("a missing file gives %v and the defect %v", err, fsys.Err())
	}
	if _, err := fs.ReadFile(fsys, "broken"); err == nil {
		t.Error("a broken file was read")
	}
	if _, err := fs.ReadFile(fsys, "good"); err != nil {
		t.Error(err)
	}
	var e *rootfs.Error
	if !errors.As(fsys.Err(), &e) || e.Reason != rootfs.ReasonCorruptImage {
		t.Errorf("the defect kept is %v", fsys.Err())
	}
}

func TestManyReadersAtOnceReadTheSame(t *testing.T) {
	tree, image := awkwardTree(t, fixtures.Squashfs{BlockSize: 4096})
	want := read(t, filepath.Join(tree, "opt/big"))
	_, fsys := openFS(t, image)
	shared, err := fsys.Open("opt/big")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			b, err := fs.ReadFile(fsys, "opt/big")
			if err != nil || string(b) != string(want) {
				t.Errorf("%d bytes, %v", len(b), err)
			}
			p := make([]byte, 3333)
			for off := n * 777; off < len(want); off += 10_000 {
				m, err := shared.(io.ReaderAt).ReadAt(p, int64(off))
				if err != nil && err != io.EOF || string(p[:m]) != string(want[off:min(off+len(p), len(want))]) {
					t.Errorf("%d bytes at %d, %v", m, off, err)
					return
				}
			}
			if _, err := fsys.ReadDir("awkward"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
