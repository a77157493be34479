// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"crypto/sha256"
	"errors"
	"io"
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

// replacing replaces the report of the folder at place.
func replacing(t *Tree, text string, err error) error {
	return t.Replace(place, reportFile, func(w io.Writer) error { return errors.Join(err, second(io.WriteString(w, text))) })
}

func second(_ int, err error) error { return err }

func TestAFileIsReplacedInOneStepAndTheOthersStay(t *testing.T) {
	v := newVolume(t)
	tree := v.tree()
	v.must(put(tree, place, content{reportFile: "1", "sbom.spdx.json": "s"}))
	v.must(os.WriteFile(v.path("sifscan", incoming, "job-w0", reportFile), []byte("of a try that died"), 0o640))
	v.must(tree.Replace(place, reportFile, func(w io.Writer) error {
		if got, err := read(tree, place, reportFile); got != "1" || err != nil {
			t.Errorf("a reader sees %q (%v) while the new file is written", got, err)
		}
		return second(io.WriteString(w, "2"))
	}))
	want := map[string]string{"sifscan/" + place.String() + "/report.json": "2", "sifscan/" + place.String() + "/sbom.spdx.json": "s"}
	if diff := cmp.Diff(want, v.files()); diff != "" {
		t.Errorf("on the volume (-want +got):\n%s", diff)
	}
	failure := errors.New("it ended early")
	if err := replacing(tree, "3", failure); !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(want, v.files()); diff != "" {
		t.Errorf("after a failure (-want +got):\n%s", diff)
	}
}

func TestNoFileIsReplacedBehindALinkOrWhereNoFolderIs(t *testing.T) {
	v, outside := newVolume(t), t.TempDir()
	tree := v.tree()
	if err := replacing(tree, "2", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
	v.must(os.MkdirAll(v.path("sifscan", filepath.Dir(place.String())), 0o755))
	v.must(os.Symlink(outside, v.path("sifscan", place.String())))
	if err := replacing(tree, "2", nil); !errors.Is(err, errInTheWay) {
		t.Errorf("a link for a folder: %v", err)
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("written outside of the volume: %v", left)
	}
	v.must(os.Remove(v.path("sifscan", place.String())))
	v.must(put(tree, place, content{"sbom.spdx.json": "s"}))
	v.must(os.WriteFile(filepath.Join(outside, "a"), []byte("a"), 0o640))
	v.must(os.Symlink(filepath.Join(outside, "a"), v.path("sifscan", place.String(), reportFile)))
	v.must(replacing(tree, "2", nil))
	if text, err := os.ReadFile(filepath.Join(outside, "a")); string(text) != "a" || err != nil {
		t.Errorf("written through a link: %q, %v", text, err)
	}
}

func TestWhatIsCheckedIsNotTouched(t *testing.T) {
	v := newVolume(t)
	tree := v.tree()
	v.must(put(tree, place, content{"a": "text"}))
	v.must(tree.Check(place, "a", 4, sha256.Sum256([]byte("text"))))
	if err := tree.Check(place, "a", 4, sha256.Sum256([]byte("tent"))); !errors.Is(err, errChanged) {
		t.Errorf("other bytes: %v", err)
	}
	if err := tree.Check(place, "b", 4, sha256.Sum256([]byte("text"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is gone: %v", err)
	}
}
