// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAResultIsReadAsItWasWritten(t *testing.T) {
	_, r, results, _ := pod(t)
	files := map[string][]byte{ReportFile: []byte("{}"), "sbom.spdx.json": []byte("line\nline\n"), "report.txt": {}}
	for _, what := range []string{"once", "again, by a scanner that was started anew"} {
		if err := WriteResult(results, "good", files); err != nil {
			t.Fatal(err)
		}
		result, err := r.Open("good")
		if err != nil {
			t.Fatal(err)
		}
		defer result.Close()
		for name, want := range files {
			f, err := result.File(name, int64(len(want)))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(f); err != nil || string(got) != string(want) {
				t.Errorf("%s, %s: %q, %v", what, name, got, err)
			}
		}
		if _, err := result.File(ReportFile, 1); err == nil {
			t.Error("a file above the limit was opened")
		}
		for _, name := range []string{"../../etc/passwd", "absent", ""} {
			if _, err := result.File(name, 100); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("file %q: %v", name, err)
			}
		}
	}
}

func TestAResultThatCannotBeWrittenLeavesNothing(t *testing.T) {
	_, _, results, _ := pod(t)
	if err := os.Symlink("elsewhere", filepath.Join(results, "link")); err != nil {
		t.Fatal(err)
	}
	if err := WriteResult(results, "link", nil); err == nil {
		t.Error("a link was followed")
	}
	if err := WriteResult(filepath.Join(results, "absent"), "a", nil); err == nil {
		t.Error("a directory that is not there was written to")
	}
	if _, err := os.Lstat(filepath.Join(results, "elsewhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was made where a link leads")
	}
}

func TestAResultLeadsNowhereElse(t *testing.T) {
	s, r, results, _ := pod(t)
	secret := filepath.Join(t.TempDir(), "secret")
	in := func(name string) string { return filepath.Join(results, name) }
	if err := errors.Join(
		os.WriteFile(secret, []byte(`[{"name":"report.json","size":5}]`+"\ntoken"), 0o644),
		os.Symlink(secret, in("link")), os.Symlink(filepath.Dir(secret), in("outside")),
		syscall.Mkfifo(in("fifo"), 0o644), os.Mkdir(in("directory"), 0o755), s.Tell(Event{Type: EventListed}),
	); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"..", ".", "", "/etc", "a/b", ".hidden", "outside", "outside/secret", "link", "fifo", "directory", "absent", journalFile, strings.Repeat("x", 300),
	} {
		if result, err := r.Open(name); err == nil {
			result.Close()
			t.Errorf("%q was opened", name)
		}
	}
}

func TestAForgedListOfPartsIsRefused(t *testing.T) {
	_, r, results, _ := pod(t)
	var many []string
	for i := range maxParts + 1 {
		many = append(many, fmt.Sprintf(`{"name":"%d"}`, i))
	}
	for name, text := range map[string]string{
		"nothing":         "",
		"no end":          `[{"name":"a","size":0}]`,
		"no list":         "{}\n",
		"no JSON":         "[\n",
		"too many":        "[" + strings.Join(many, ",") + "]\n",
		"a name twice":    `[{"name":"a","size":1},{"name":"a","size":1}]` + "\nab",
		"beyond the file": `[{"name":"a","size":3}]` + "\nab",
		"less than none":  `[{"name":"a","size":-1},{"name":"b","size":1}]` + "\nab",
		"more than any":   fmt.Sprintf(`[{"name":"a","size":1},{"name":"b","size":%d}]`, int64(math.MaxInt64)) + "\nab",
		"an endless line": strings.Repeat(" ", maxLine) + "[]\n",
	} {
		if err := os.WriteFile(filepath.Join(results, "forged"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if result, err := r.Open("forged"); err == nil {
			result.Close()
			t.Errorf("%s: it was opened", name)
		}
	}
}
