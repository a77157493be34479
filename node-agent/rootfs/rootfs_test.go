package rootfs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// awkwardTree makes a tree with every kind of file and returns it with an image of it.
func awkwardTree(t *testing.T, s fixtures.Squashfs) (tree, image string) {
	t.Helper()
	dir := inMemory(t, 256<<20)
	tree, image = filepath.Join(dir, "tree"), filepath.Join(dir, "image.squashfs")
	b := fixtures.NewTree(tree).With(fixtures.Debian).With(fixtures.Python).With(fixtures.Awkward).Filled("opt/big", 7, 1<<20+123)
	if err := b.Done(); err != nil {
		t.Fatal(err)
	}
	if err := s.Make(tree, image); err != nil {
		t.Fatal(err)
	}
	return tree, image
}

func openFS(t *testing.T, path string) (*rootfs.Image, rootfs.FS) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	img, err := rootfs.OpenFile(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	fsys, err := img.FS(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return img, fsys
}

func TestAnImageReadsAsTheTreeItWasMadeFrom(t *testing.T) {
	for _, compression := range []string{"gzip", "zstd", "xz", "lz4"} {
		t.Run(compression, func(t *testing.T) {
			tree, image := awkwardTree(t, fixtures.Squashfs{Compression: compression})
			_, fsys := openFS(t, image)
			seen := 0
			err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				seen++
				name, _ := filepath.Rel(tree, path)
				want, _ := os.Lstat(path)
				got, err := fsys.Lstat(name)
				if err != nil {
					return err
				}
				if got.Mode() != want.Mode() || !got.ModTime().Equal(want.ModTime()) {
					t.Errorf("%q: %v %v, want %v %v", name, got.Mode(), got.ModTime(), want.Mode(), want.ModTime())
				}
				if want.Mode().IsRegular() {
					a, _ := os.ReadFile(path)
					b, err := fs.ReadFile(fsys, name)
					if err != nil || !bytes.Equal(a, b) {
						t.Errorf("%q differs: %v", name, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if seen < 30 {
				t.Fatalf("only %d files compared", seen)
			}
			if err := fsys.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestSymlinksLeadBackIntoTheImage(t *testing.T) {
	tree, image := awkwardTree(t, fixtures.Squashfs{})
	for _, source := range []string{image, tree} {
		_, fsys := openFS(t, source)
		for _, name := range []string{"etc/os-release", "awkward/absolute", "awkward/outside"} {
			b, err := fs.ReadFile(fsys, name)
			if err != nil || !bytes.Contains(b, []byte("bookworm")) {
				t.Errorf("%s of %s: %q, %v", name, filepath.Base(source), b, err)
			}
		}
		if _, err := fsys.Stat("awkward/circle"); err == nil {
			t.Error("a circle of symlinks was followed to an end")
		}
		if _, err := fsys.Stat("awkward/dangling"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a dangling symlink gives %v", err)
		}
		f, err := fsys.Open("usr/lib/os-release")
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := f.(io.ReaderAt); !ok {
			t.Error("no io.ReaderAt")
		}
		f.Close()
	}
}

func TestASIFTellsWhatItIs(t *testing.T) {
	_, image := awkwardTree(t, fixtures.Squashfs{Compression: "zstd"})
	path := filepath.Join(t.TempDir(), "x.sif")
	err := fixtures.NewSIF("arm64").Definition("Bootstrap: docker\nFrom: debian:12\n").System(image).
		Labels(map[string]string{"org.label-schema.schema-version": "1.0"}).
		Signature("12045c8c0b1004d058de4beda20c27ee7ff7ba84").SBOM("{}").Write(path)
	if err != nil {
		t.Fatal(err)
	}
	img, fsys := openFS(t, path)
	info := img.Info()
	if info.Format != rootfs.FormatSIF || info.Architecture != "arm64" || info.Compression != "zstd" ||
		len(info.Signatures) != 1 || info.Signatures[0].Fingerprint != "12045c8c0b1004d058de4beda20c27ee7ff7ba84" || info.Signatures[0].Signs != "group 1" ||
		info.Labels["org.label-schema.schema-version"] != "1.0" || len(info.Partitions) != 1 || len(info.SBOMs) != 1 || info.DefinitionFile == "" {
		t.Errorf("%+v", info)
	}
	if _, err := fsys.Stat("etc/debian_version"); err != nil {
		t.Error(err)
	}
	if img.Incomplete() != nil {
		t.Error(img.Incomplete())
	}
}
