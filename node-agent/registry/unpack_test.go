// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// unpack unpacks an image of layers and returns what is there.
func unpack(t *testing.T, limit int64, layers ...v1.Layer) (string, int64, error) {
	t.Helper()
	s := newSite(t)
	ref := s.push("app", image(t, layers...))
	img, err := s.client().Image(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	above := t.TempDir()
	dir := filepath.Join(above, "rootfs")
	used, err := img.Unpack(context.Background(), dir, limit)
	if entries, _ := os.ReadDir(above); len(entries) != 1 {
		t.Errorf("found %v beside the image", entries)
	}
	return list(t, dir), used, err
}

func TestLayersAreAppliedAsContainerRuntimesDo(t *testing.T) {
	for name, tc := range map[string]struct {
		layers [][]entry
		want   string
		blocks int64
	}{
		"a file replaces that of a lower layer": {[][]entry{{file("a", "1")}, {file("a", "2")}}, "a 2", 1},
		"a whiteout hides a file":               {[][]entry{{file("d/a", "1"), file("d/b", "1")}, {file("d/.wh.a", "")}}, "d/\nd/b 1", 2},
		"a whiteout hides a directory":          {[][]entry{{file("d/e/a", "1")}, {file("d/.wh.e", "")}}, "d/", 1},
		"an opaque directory hides all that lower layers have in it": {
			[][]entry{{file("d/a", "1"), file("d/e/b", "1")}, {file("d/e/c", "2"), file("d/.wh..wh..opq", ""), file("d/f", "2")}},
			"d/\nd/e/\nd/e/c 2\nd/f 2", 4},
		"a whiteout hides nothing of its own layer": {[][]entry{{file("a", "1")}, {file("a", "2"), file(".wh.a", "")}}, "a 2", 1},
		"a whiteout of nothing":                     {[][]entry{{file("a", "1")}, {file(".wh.b", ""), file("c/.wh.d", "")}}, "a 1\nc/", 2},
		"aufs's own files":                          {[][]entry{{file(".wh..wh.plnk", ""), file(".wh..wh.aufs", ""), file(".wh.", "")}}, "", 0},
		"a directory replaces a file":               {[][]entry{{file("a", "1")}, {dir("a"), file("a/b", "2")}}, "a/\na/b 2", 2},
		"a file replaces a directory":               {[][]entry{{file("a/b", "1")}, {file("a", "2")}}, "a 2", 1},
		"a directory keeps what it holds":           {[][]entry{{file("a/b", "1")}, {dir("a/")}}, "a/\na/b 1", 2},
		"files go where a link of a lower layer leads": {
			[][]entry{{dir("usr/lib"), symlink("lib", "usr/lib"), symlink("abs", "/usr/lib")}, {file("lib/a", "1"), file("abs/b", "2")}},
			"abs -> /usr/lib\nlib -> usr/lib\nusr/\nusr/lib/\nusr/lib/a 1\nusr/lib/b 2", 6},
		"a link that is replaced no longer leads anywhere": {
			[][]entry{{dir("x"), symlink("l", "x")}, {file("l/a", "1"), dir("l"), file("l/b", "2")}}, "l/\nl/b 2\nx/\nx/a 1", 4},
		"hard links":          {[][]entry{{file("d/a", "1"), hardlink("b", "/d/a"), hardlink("c", "d/a")}}, "b 1\nc 1\nd/\nd/a 1", 2},
		"names are bytes":     {[][]entry{{file("\xff/\xfe", "1")}, {file(".wh.\xff", "")}}, "", 0},
		"leading slashes":     {[][]entry{{file("/a", "1"), file("./b", "2"), dir("./"), dir("/")}}, "a 1\nb 2", 2},
		"devices and FIFOs":   {[][]entry{{{name: "sda", kind: tar.TypeBlock}, {name: "tty", kind: tar.TypeChar}, {name: "fifo", kind: tar.TypeFifo}, file("a", "1")}}, "a 1", 1},
		"a layer of nothing":  {[][]entry{{}, {file("a", "1")}}, "a 1", 1},
		"links out of itself": {[][]entry{{symlink("a", "/etc/passwd"), symlink("b", "../../../etc/passwd")}}, "a -> /etc/passwd\nb -> ../../../etc/passwd", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var layers []v1.Layer
			for _, entries := range tc.layers {
				layers = append(layers, layer(t, entries...))
			}
			got, used, err := unpack(t, 1<<30, layers...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if used != tc.blocks*4096 {
				t.Errorf("%d blocks are counted, want %d", used/4096, tc.blocks)
			}
		})
	}
}

func TestAHostileLayerHarmsNobody(t *testing.T) {
	bomb := archive(t, file("bomb", strings.Repeat("\x00", 64<<20)))
	big := archive(t, entry{name: "sparse", kind: tar.TypeReg, size: 1 << 50})
	for name, tc := range map[string]struct {
		layers []v1.Layer
		want   string
		says   string
	}{
		"a path that leads out":             {[]v1.Layer{layer(t, file("../escape", "x"))}, "CorruptImage", "../escape leads out"},
		"a path that leads out and back":    {[]v1.Layer{layer(t, file("a/../../escape", "x"))}, "CorruptImage", "leads out"},
		"a whiteout outside":                {[]v1.Layer{layer(t, file("../.wh.rootfs", ""))}, "CorruptImage", "leads out"},
		"a hard link to what is outside":    {[]v1.Layer{layer(t, hardlink("a", "../../../etc/passwd"))}, "CorruptImage", "leads out"},
		"a hard link to the machine's file": {[]v1.Layer{layer(t, hardlink("a", "/etc/hostname"))}, "CorruptImage", "not there"},
		"a hard link through a link":        {[]v1.Layer{layer(t, symlink("l", "/etc"), hardlink("a", "l/hostname"))}, "CorruptImage", ""},
		"a hard link to a directory":        {[]v1.Layer{layer(t, dir("d"), hardlink("a", "d"))}, "CorruptImage", "directory"},
		"links in a circle":                 {[]v1.Layer{layer(t, symlink("a", "b"), symlink("b", "a"), file("a/x", "1"))}, "CorruptImage", "too many links"},
		"a file below a file":               {[]v1.Layer{layer(t, file("a", "1"), file("a/b", "2"))}, "CorruptImage", "a is a file"},
		"a name too long for any disk":      {[]v1.Layer{layer(t, file(strings.Repeat("n", 300), "x"))}, "CorruptImage", "too long"},
		"a petabyte of holes":               {[]v1.Layer{static.NewLayer(zipped(t, big), types.OCILayer)}, "TmpTooSmall", "spec.tmp.sizeLimit"},
		"a gzip bomb":                       {[]v1.Layer{static.NewLayer(zipped(t, bomb), types.OCILayer)}, "TmpTooSmall", "32 MiB"},
		"a zstd bomb":                       {[]v1.Layer{static.NewLayer(zstandard(t, bomb), types.OCILayerZStd)}, "TmpTooSmall", "32 MiB"},
		"cut off":                           {[]v1.Layer{static.NewLayer(zipped(t, archive(t, file("a", strings.Repeat("x", 4096)))[:2048]), types.OCILayer)}, "CorruptImage", "layer 1 of 1"},
		"no gzip although it begins so":     {[]v1.Layer{static.NewLayer([]byte("\x1f\x8bnonsense"), types.OCILayer)}, "CorruptImage", "compression"},
		"no archive at all":                 {[]v1.Layer{static.NewLayer(bytes.Repeat([]byte("nonsense"), 1024), types.OCILayer)}, "CorruptImage", "archive"},
		"the second layer is bad":           {[]v1.Layer{layer(t, file("a", "1")), layer(t, file("..", ""))}, "CorruptImage", "layer 2 of 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := unpack(t, 32<<20, tc.layers...)
			if reasonOf(err) != tc.want || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %q: %v; want %s, saying %q", reasonOf(err), err, tc.want, tc.says)
			}
		})
	}
}

func zstandard(t *testing.T, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(content, nil)
}

func TestCompressionIsRecognisedByContent(t *testing.T) {
	plain := archive(t, file("a", "1"))
	for name, body := range map[string][]byte{"gzip": zipped(t, plain), "zstd": zstandard(t, plain), "none": plain} {
		got, _, err := unpack(t, 1<<20, static.NewLayer(body, types.OCILayer))
		if err != nil || got != "a 1" {
			t.Errorf("%s: found %q, %v", name, got, err)
		}
	}
}

func TestManySmallFilesCountAsBlocks(t *testing.T) {
	var entries []entry
	for i := range 300 {
		entries = append(entries, file(strings.Repeat("f", i+1)[:min(i+1, 200)]+string(rune('a'+i%26)), ""))
	}
	_, _, err := unpack(t, 64<<10, layer(t, entries...))
	if reasonOf(err) != "TmpTooSmall" {
		t.Errorf("got %v", err)
	}
}

func TestALayerThatIsNotWhatItsDigestSays(t *testing.T) {
	s := newSite(t)
	right := zipped(t, archive(t, file("a", strings.Repeat("x", 100))))
	wrong := bytes.Clone(right)
	wrong[len(wrong)-20] ^= 1
	ref := s.push("app", image(t, static.NewLayer(right, types.OCILayer)))
	img, err := s.client().Image(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	s.before = serve("/blobs/", wrong)
	_, err = img.Unpack(context.Background(), filepath.Join(t.TempDir(), "r"), 1<<20)
	if reasonOf(err) != "CorruptImage" {
		t.Errorf("got %q: %v", reasonOf(err), err)
	}
	// What follows the archive counts too: nothing of it is unpacked, and it is not what was asked for.
	s.before = serve("/blobs/", append(bytes.Clone(right), "more"...))
	_, err = img.Unpack(context.Background(), filepath.Join(t.TempDir(), "r"), 1<<20)
	if reasonOf(err) != "CorruptImage" {
		t.Errorf("got %q: %v", reasonOf(err), err)
	}
}

func TestWhatIsUnpackedCanBeReadAndRunsNothing(t *testing.T) {
	s := newSite(t)
	ref := s.push("app", image(t, layer(t,
		entry{name: "d", kind: tar.TypeDir, mode: 0o001}, entry{name: "d/suid", kind: tar.TypeReg, body: "x", mode: 0o4001})))
	img, err := s.client().Image(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "r")
	if _, err := img.Unpack(context.Background(), root, 1<<20); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"d": os.ModeDir | 0o701, "d/suid": 0o601} {
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}
