package document

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func fileOf(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAStreamIsReadInOnePassAndInItsOrder(t *testing.T) {
	file := fileOf(t, `{"v": 2, "a": [{"k": "x", "p": [1, 2]}, 7, {"p": [3], "k": "y"}, {"p": null}], "v": "3"}`)
	var got []string
	say := func(what string) func(json.RawMessage) error {
		return func(raw json.RawMessage) error { got = append(got, what+" "+string(raw)); return nil }
	}
	skipped, err := Stream(file, 1<<20,
		Visit{Path: []string{"v"}, Do: say("version")},
		Visit{Path: []string{"a", "*"}, Begin: func() { got = append(got, "begin") }},
		Visit{Path: []string{"a", "*", "k"}, Do: say("kind")},
		Visit{Path: []string{"a", "*", "p", "*"}, Do: say("element")})
	want := []string{"version 2", "begin", `kind "x"`, "element 1", "element 2", "begin", "begin", "element 3", `kind "y"`, "begin", `version "3"`}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || skipped != 2 {
		t.Errorf("%d skipped, error %v\n%s", skipped, err, diff)
	}
}

func TestWhatCannotBeStreamedIsAnErrorThatSaysWhy(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("x", 2*maxValue)
	for name, c := range map[string]struct {
		path string
		says string
	}{
		"a FIFO nobody writes to":        {fifo, "no regular file"},
		"a file beyond the limit":        {fileOf(t, strings.Repeat(" ", 100<<20)), "it has 100 MiB, and at most 64 are read"},
		"a large value that is wanted":   {fileOf(t, `{"a": [{"p": "`+large+`"}]}`), "more than 8 MiB"},
		"a large value that is not":      {fileOf(t, `{"b": "`+large+`"}`), "more than 8 MiB"},
		"a large key":                    {fileOf(t, `{"`+large+`": 1}`), "more than 8 MiB"},
		"a list without end":             {fileOf(t, `{"a": [`+strings.Repeat("0,", maxElements+1)+`0]}`), "more than 250000"},
		"brackets":                       {fileOf(t, strings.Repeat("[", 20000)), "max depth"},
		"brackets where a value is":      {fileOf(t, `{"a": [`+strings.Repeat("[", 20000)), "max depth"},
		"a document that ends too early": {fileOf(t, `{"a": [1, 2`), "EOF"},
		"an empty file":                  {fileOf(t, ""), "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Stream(c.path, 64<<20, Visit{Path: []string{"a", "*"}, Do: func(json.RawMessage) error { return nil }})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// A stream finds what a document in memory does.
func FuzzStream(f *testing.F) {
	f.Add(`{"a": [{"b": 1}, 7, {"b": "two", "c": {}}], "a": null}`)
	f.Add(`{"a": {"*": {"b": [[[]]]}}}`)
	f.Add(`[1, {"a"`)
	f.Fuzz(func(t *testing.T, text string) {
		var streamed, held []string
		file := fileOf(t, text)
		skipped, streamErr := Stream(file, 1<<20, Visit{Path: []string{"a", "*", "b"}, Do: func(raw json.RawMessage) error { streamed = append(streamed, string(raw)); return nil }})
		more, heldErr := Each([]byte(text), func(raw json.RawMessage) error { held = append(held, string(raw)); return nil }, "a", "*", "b")
		if diff := cmp.Diff(held, streamed); diff != "" || skipped != more || (streamErr == nil) != (heldErr == nil) {
			t.Errorf("%d and %d skipped, errors %v and %v\n%s", more, skipped, heldErr, streamErr, diff)
		}
	})
}
