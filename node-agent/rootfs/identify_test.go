package rootfs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

func openBytes(b []byte) (*rootfs.Image, error) {
	return rootfs.Open(bytes.NewReader(b), int64(len(b)))
}

// smallSquashfs makes an image of one file and returns its path.
func smallSquashfs(t testing.TB, compression string) string {
	t.Helper()
	dir := t.TempDir()
	if err := fixtures.NewTree(filepath.Join(dir, "tree")).File("etc/hostname", "image\n").Done(); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "image")
	if err := (fixtures.Squashfs{Compression: compression}).Make(filepath.Join(dir, "tree"), image); err != nil {
		t.Fatal(err)
	}
	return image
}

func sifBytes(t testing.TB, s *fixtures.SIF) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.sif")
	if err := s.Write(path); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ext3 returns as much of an ext3 file system as is looked at.
func ext3() []byte {
	b := make([]byte, 4096)
	binary.LittleEndian.PutUint16(b[1080:], 0xef53)
	return b
}

func TestFilesThatAreNoImageAreNamedForWhatTheyAre(t *testing.T) {
	for name, test := range map[string]struct {
		content []byte
		reason  string
		says    string
	}{
		"an empty file":            {nil, rootfs.ReasonCorruptImage, "empty"},
		"zero bytes":               {make([]byte, 10_000), rootfs.ReasonCorruptImage, "incomplete copy"},
		"a text file":              {[]byte("not an image at all, just a note to self\n"), rootfs.ReasonUnsupported, "begins with the text"},
		"a shell script":           {[]byte("#!/bin/sh\nexec true\n"), rootfs.ReasonUnsupported, "a script"},
		"a gzip file":              {[]byte("\x1f\x8b\x08rest"), rootfs.ReasonUnsupported, "gzip"},
		"an executable":            {[]byte("\x7fELF\x02"), rootfs.ReasonUnsupported, "an executable"},
		"a pointer of Git LFS":     {[]byte("version https://git-lfs.github.com/spec/v1\n"), rootfs.ReasonUnsupported, "Git LFS"},
		"an error page":            {[]byte("<!DOCTYPE html><title>404</title>"), rootfs.ReasonUnsupported, "HTML"},
		"noise":                    {fixtures.Bytes(3, 5000), rootfs.ReasonUnsupported, "begins with the bytes"},
		"text with escape codes":   {[]byte("\x1b]0;title\x07 and more"), rootfs.ReasonUnsupported, `\x1b]0`},
		"half a SquashFS magic":    {[]byte("hs"), rootfs.ReasonUnsupported, "begins with the text"},
		"a cut-off superblock":     {[]byte("hsqs and little else"), rootfs.ReasonCorruptImage, "incomplete copy"},
		"a cut-off SIF header":     {append(make([]byte, 32), "SIF_MAGIC\x0001\x00"...), rootfs.ReasonCorruptImage, "incomplete copy"},
		"a launch line alone":      {[]byte("#!/usr/bin/env run-singularity\n"), rootfs.ReasonUnsupported, "a script"},
		"a launch line that lasts": {append([]byte("#!run-singularity "), bytes.Repeat([]byte("x"), 5000)...), rootfs.ReasonUnsupported, "a script"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openBytes(test.content)
			var e *rootfs.Error
			if !errors.As(err, &e) || e.Reason != test.reason || !strings.Contains(e.Message, test.says) {
				t.Errorf("got %v, want %s that says %q", err, test.reason, test.says)
			}
		})
	}
}

func TestImagesThatAreNotReadAreStillDescribed(t *testing.T) {
	partition := filepath.Join(t.TempDir(), "partition")
	if err := os.WriteFile(partition, make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	sif := func() *fixtures.SIF {
		return fixtures.NewSIF("amd64").Labels(map[string]string{"a": "b"})
	}
	lzo := &fixtures.Forge{Root: fixtures.ForgedDir(), Superblock: func(sb []byte) { sb[20] = 3 }}
	for name, test := range map[string]struct {
		content []byte
		format  string
		says    string
	}{
		"ext3":                      {ext3(), rootfs.FormatExt3, "apptainer build"},
		"ext3 behind a launch line": {append([]byte("#!/usr/bin/env run-singularity\n"), ext3()...), rootfs.FormatExt3, "apptainer build"},
		"SquashFS with lzo":         {lzo.Image(), rootfs.FormatSquashfs, "lzo"},
		"SIF with ext3":             {sifBytes(t, sif().Partition(fixtures.FSExt3, fixtures.PartPrimary, 1, partition)), rootfs.FormatSIF, "ext3"},
		"SIF that is encrypted":     {sifBytes(t, sif().Partition(fixtures.FSEncrypted, fixtures.PartPrimary, 1, partition)), rootfs.FormatSIF, "encrypted"},
		"SIF with gocryptfs":        {sifBytes(t, sif().Partition(fixtures.FSGocryptfs, fixtures.PartPrimary, 1, partition)), rootfs.FormatSIF, "encrypted (gocryptfs"},
		"SIF with data only":        {sifBytes(t, sif().Partition(fixtures.FSSquashfs, fixtures.PartData, 1, partition)), rootfs.FormatSIF, "without a primary system partition"},
		"SIF with another system":   {sifBytes(t, sif().Partition(99, fixtures.PartPrimary, 1, partition)), rootfs.FormatSIF, "unknown file system 99"},
		"OCI-SIF":                   {sifBytes(t, sif().OCI("{}", "layer")), rootfs.FormatOCI, "OCI-SIF"},
	} {
		t.Run(name, func(t *testing.T) {
			img, err := openBytes(test.content)
			if err != nil {
				t.Fatal(err)
			}
			info := img.Info()
			if info.Format != test.format {
				t.Errorf("format %q, want %q", info.Format, test.format)
			}
			if _, err := json.Marshal(info); err != nil {
				t.Error(err)
			}
			_, err = img.FS(context.Background())
			var e *rootfs.Error
			if !errors.As(err, &e) || e.Reason != rootfs.ReasonUnsupported || !strings.Contains(e.Message, test.says) {
				t.Errorf("got %v, want Unsupported that says %q", err, test.says)
			}
			if _, err := img.Extract(context.Background(), filepath.Join(t.TempDir(), "out"), rootfs.ExtractOptions{}); !errors.As(err, &e) || e.Reason != rootfs.ReasonUnsupported {
				t.Errorf("extraction gives %v", err)
			}
		})
	}
}

func TestEveryKindOfImageThatIsReadShowsItsFiles(t *testing.T) {
	squashfs := smallSquashfs(t, "gzip")
	launched := filepath.Join(t.TempDir(), "x.simg")
	if err := fixtures.Launch(squashfs, launched); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		content []byte
		format  string
	}{
		"SquashFS":                      {read(t, squashfs), rootfs.FormatSquashfs},
		"SquashFS behind a launch line": {read(t, launched), rootfs.FormatSquashfs},
		"SIF":                           {sifBytes(t, fixtures.NewSIF("amd64").System(squashfs)), rootfs.FormatSIF},
	} {
		t.Run(name, func(t *testing.T) {
			img, err := openBytes(test.content)
			if err != nil {
				t.Fatal(err)
			}
			if img.Info().Format != test.format || img.Info().Compression != "gzip" {
				t.Errorf("%+v", img.Info())
			}
			fsys, err := img.FS(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if st, err := fsys.Stat("etc/hostname"); err != nil || st.Size() != 6 {
				t.Errorf("%v, %v", st, err)
			}
			if n := img.BytesRead(); n == 0 || n > int64(2*len(test.content)) {
				t.Errorf("%d bytes read of %d", n, len(test.content))
			}
		})
	}
}

func TestAnOverlayOfTheSystemsGroupMakesAnImageIncomplete(t *testing.T) {
	squashfs := smallSquashfs(t, "gzip")
	for group, incomplete := range map[uint32]bool{1: true, 2: false} {
		img, err := openBytes(sifBytes(t, fixtures.NewSIF("amd64").System(squashfs).Partition(fixtures.FSExt3, fixtures.PartOverlay, group, squashfs)))
		if err != nil {
			t.Fatal(err)
		}
		var e *rootfs.Error
		if errors.As(img.Incomplete(), &e) != incomplete || incomplete && (e.Reason != rootfs.ReasonIncomplete || !strings.Contains(e.Message, "overlay")) {
			t.Errorf("group %d: %v", group, img.Incomplete())
		}
		if fsys, err := img.FS(context.Background()); err != nil {
			t.Error(err)
		} else if _, err := fsys.Stat("etc/hostname"); err != nil {
			t.Errorf("the base cannot be read: %v", err)
		}
	}
}

func TestLabelsOfAnyShapeAreShown(t *testing.T) {
	squashfs := smallSquashfs(t, "gzip")
	b := sifBytes(t, fixtures.NewSIF("amd64").System(squashfs).Labels(map[string]string{"k": "vvvvvvvvvv"}))
	for text, want := range map[string]struct {
		label string
		note  bool
	}{
		`{"k":"vvvvvvvvvv"}`: {"vvvvvvvvvv", false},
		`{"k":[1,2,3,4,5] }`: {"[1,2,3,4,5]", false},
		`["k","vvvvvvvvvv"]`: {"", true},
		`{"k":"vvvvvvvvvv" `: {"", true},
	} {
		img, err := openBytes(bytes.Replace(b, []byte(`{"k":"vvvvvvvvvv"}`), []byte(text), 1))
		if err != nil {
			t.Fatal(err)
		}
		if info := img.Info(); info.Labels["k"] != want.label || (len(info.Notes) > 0) != want.note {
			t.Errorf("%s: %v, notes %q", text, info.Labels, info.Notes)
		}
	}
}

// Descriptors may overlap: a small file can name one text many times.
func TestAThousandTextsAreReadOnce(t *testing.T) {
	b := sifBytes(t, fixtures.NewSIF("amd64").Definition(strings.Repeat("x", 200_000)))
	const table, size, count = 128, 585, 16384
	descriptors := make([]byte, 0, count*size)
	for i := range count {
		d := bytes.Clone(b[table : table+size])
		binary.LittleEndian.PutUint32(d[5:], uint32(i+1))
		descriptors = append(descriptors, d...)
	}
	binary.LittleEndian.PutUint64(b[88:], count)
	binary.LittleEndian.PutUint64(b[96:], uint64(len(b)))
	img, err := openBytes(append(b, descriptors...))
	if err != nil {
		t.Fatal(err)
	}
	if info := img.Info(); len(info.DefinitionFile) != 200_000 || len(info.Notes) == 0 || len(info.Notes) > 20 {
		t.Errorf("a text of %d bytes, %d notes", len(info.DefinitionFile), len(info.Notes))
	}
	if read, most := img.BytesRead(), int64(len(descriptors)+500_000); read > most {
		t.Errorf("%d bytes were read, more than %d", read, most)
	}
}

func TestAFileThatIsNoFileIsRefused(t *testing.T) {
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var e *rootfs.Error
	if _, err := rootfs.OpenFile(null); !errors.As(err, &e) || e.Reason != rootfs.ReasonUnsupported || !strings.Contains(e.Message, "device") {
		t.Errorf("got %v", err)
	}
}

func TestAnImageThatIsModifiedIsChangingNotCorrupt(t *testing.T) {
	for name, modify := range map[string]func(f *os.File, size int64) error{
		"another image of the same size takes its place": func(f *os.File, size int64) error {
			_, err := f.WriteAt(fixtures.Bytes(1, int(size)-96), 96)
			return errors.Join(err, os.Chtimes(f.Name(), fixtures.Epoch, fixtures.Epoch))
		},
		"it is cut off": func(f *os.File, _ int64) error { return f.Truncate(200) },
	} {
		t.Run(name, func(t *testing.T) {
			_, path := awkwardTree(t, fixtures.Squashfs{})
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			img, err := rootfs.OpenFile(f)
			if err != nil {
				t.Fatal(err)
			}
			fsys, err := img.FS(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if changed, err := img.Changed(); changed || err != nil {
				t.Errorf("changed before anything was written: %v, %v", changed, err)
			}
			if err := modify(f, img.Info().SizeBytes); err != nil {
				t.Fatal(err)
			}
			_, err = fs.ReadFile(fsys, "opt/big")
			var e *rootfs.Error
			if !errors.As(err, &e) || e.Reason != rootfs.ReasonChanging || fsys.Err() == nil {
				t.Errorf("got %v, kept %v", err, fsys.Err())
			}
			if changed, err := img.Changed(); !changed || err != nil {
				t.Errorf("the change was not noticed: %v", err)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	squashfs := smallSquashfs(f, "gzip")
	f.Add(read(f, squashfs))
	f.Add(append([]byte("#!/usr/bin/env run-singularity\n"), read(f, squashfs)...))
	f.Add(ext3())
	f.Add(sifBytes(f, fixtures.NewSIF("amd64").OCI("{}", "layer"))[:128+5*585])
	f.Fuzz(func(t *testing.T, b []byte) {
		img, err := openBytes(b)
		var e *rootfs.Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Errorf("an error without a reason: %v", err)
			}
			return
		}
		if _, err := json.Marshal(img.Info()); err != nil {
			t.Error(err)
		}
		if _, err := img.FS(context.Background()); err != nil && !errors.As(err, &e) {
			t.Errorf("an error without a reason: %v", err)
		}
	})
}
