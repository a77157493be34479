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
			in, err := os.Open(path)
			v.must(err)
			defer in.Close()
			return f.copy("a", file(in.Fd()), 4, sha256.Sum256([]byte(text)))
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
	v.must(tree.Visit(place, func(k *Kept) error {
		if diff := cmp.Diff(map[string]int64{"a": 4, "b": 0}, k.Sizes([]string{"a", "b", "c", "d"})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	}))
}

// replacing replaces the report of the folder at place.
func replacing(t *Tree, text string, err error) error {
	return t.Visit(place, func(k *Kept) error {
		return k.Replace(reportFile, func(w io.Writer) error { return errors.Join(err, second(io.WriteString(w, text))) })
	})
}

func second(_ int, err error) error { return err }

func TestAFileIsReplacedInOneStepAndTheOthersStay(t *testing.T) {
	v := newVolume(t)
	tree := v.tree()
	v.must(put(tree, place, content{reportFile: "1", "sbom.spdx.json": "s"}))
	v.must(os.WriteFile(v.path("sifscan", incoming, "job-w0", reportFile), []byte("of a try that died"), 0o640))
	v.must(tree.Visit(place, func(k *Kept) error {
		return k.Replace(reportFile, func(w io.Writer) error {
			if got, err := read(tree, place, reportFile); got != "1" || err != nil {
				t.Errorf("a reader sees %q (%v) while the new file is written", got, err)
			}
			return second(io.WriteString(w, "2"))
		})
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
	for what, c := range map[string]struct {
		name, text string
		want       error
	}{
		"what is meant": {"a", "text", nil},
		"other bytes":   {"a", "tent", errChanged},
		"what is gone":  {"b", "text", fs.ErrNotExist},
	} {
		if err := tree.Visit(place, func(k *Kept) error { return k.Check(c.name, 4, sha256.Sum256([]byte(c.text))) }); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestATextIsReadOnlyWhereItIsTheOneThatIsMeant(t *testing.T) {
	v := newVolume(t)
	tree := v.tree()
	v.must(put(tree, place, content{"a": "text", "none": ""}))
	texts := func(name string, limit int64, meant string, buffer []byte) (text []byte, err error) {
		err = tree.Visit(place, func(k *Kept) error {
			text, err = k.Text(name, limit, sha256.Sum256([]byte(meant)), buffer)
			return err
		})
		return text, err
	}
	for _, buffer := range [][]byte{nil, make([]byte, 2), make([]byte, 0, 64)} {
		for name, meant := range map[string]string{"a": "text", "none": ""} {
			if text, err := texts(name, 4, meant, buffer); string(text) != meant || err != nil {
				t.Errorf("%s: %q, %v", name, text, err)
			}
		}
	}
	for what, c := range map[string]struct {
		limit int64
		meant string
		want  error
	}{
		"other bytes": {4, "tent", errChanged},
		"fewer bytes": {4, "tex", errChanged},
		"too many":    {3, "text", nil},
	} {
		if text, err := texts("a", c.limit, c.meant, nil); text != nil || err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %q, %v", what, text, err)
		}
	}
}
