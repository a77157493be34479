// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// keeping puts a folder that keeps one file of the folder before.
func keeping(t *Tree, name, text string) error {
	return t.Put(place, func(f *Folder) error { return f.Keep(name, int64(len(text)), sha256.Sum256([]byte(text))) })
}

func TestAFileThatStaysIsTheOneItWas(t *testing.T) {
	v := newVolume(t)
	tree := v.tree()
	v.must(put(tree, place, content{reportFile: "1", "sbom.spdx.json": "s"}))
	before, err := os.Stat(v.path("sifscan", place.String(), "sbom.spdx.json"))
	v.must(err)
	v.must(keeping(tree, "sbom.spdx.json", "s"))
	after, err := os.Stat(v.path("sifscan", place.String(), "sbom.spdx.json"))
	v.must(err)
	if !os.SameFile(before, after) {
		t.Error("it was written anew")
	}
	if diff := cmp.Diff(map[string]string{"sifscan/shared/projects/chem/a.sif@sr-1/sbom.spdx.json": "s"}, v.files()); diff != "" {
		t.Errorf("on the volume (-want +got):\n%s", diff)
	}
}

func TestAFileThatStaysIsCopiedWhereItCannotBeLinked(t *testing.T) {
	v := newVolume(t)
	tree := v.tree()
	v.must(put(tree, place, content{"a": "text"}))
	path := v.path("sifscan", place.String(), "a")
	for text, want := range map[string]error{"text": nil, "tent": errChanged} {
		err := tree.Put(place, func(f *Folder) error {
			file, err := os.Open(path)
			v.must(err)
			defer file.Close()
			return f.copy("a", file, 4, sha256.Sum256([]byte(text)))
		})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if diff := cmp.Diff(map[string]string{"sifscan/shared/projects/chem/a.sif@sr-1/a": "text"}, v.files()); diff != "" {
		t.Errorf("on the volume (-want +got):\n%s", diff)
	}
}

func TestAFileDoesNotStayThatIsNotTheOneThatIsMeant(t *testing.T) {
	for name, c := range map[string]struct {
		change func(path string) error
		want   error
	}{
		"it is gone":         {os.Remove, fs.ErrNotExist},
		"it has other bytes": {func(path string) error { return os.WriteFile(path, []byte("tent"), 0o640) }, errChanged},
		"it was cut":         {func(path string) error { return os.Truncate(path, 1) }, errChanged},
		"a link is in its place": {func(path string) error {
			return errors.Join(os.Rename(path, path+"1"), os.Symlink(path+"1", path))
		}, errNotFile},
		"a directory is in its place": {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) }, errNotFile},
		"it has grown":                {func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("text", 2)), 0o640) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVolume(t)
			tree := v.tree()
			v.must(put(tree, place, content{"a": "text"}))
			v.must(c.change(filepath.Join(v.dir, "sifscan", place.String(), "a")))
			if err := keeping(tree, "a", "text"); err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("kept: %v", err)
			}
		})
	}
	v := newVolume(t)
	if err := keeping(v.tree(), "a", "text"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder before: %v", err)
	}
}

func TestSizesAreThoseOfFiles(t *testing.T) {
	v := newVolume(t)
	tree := v.tree()
	v.must(put(tree, place, content{"a": "text", "b": ""}))
	v.must(os.Symlink("a", v.path("sifscan", place.String(), "c")))
	got, err := tree.Sizes(place, []string{"a", "b", "c", "d"})
	if diff := cmp.Diff(map[string]int64{"a": 4, "b": 0}, got); diff != "" || err != nil {
		t.Errorf("(-want +got):\n%s%v", diff, err)
	}
}
