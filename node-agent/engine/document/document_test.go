package document

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlySmallRegularFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path  string
		limit int64
		says  string
	}{
		"a file within the limit": {file, 5, ""},
		"a file beyond it":        {file, 4, "at most"},
		"a link":                  {link, 5, "symbolic link"},
		"a directory":             {dir, 5, "no regular file"},
		"a device":                {"/dev/zero", 5, "no regular file"},
		"nothing":                 {filepath.Join(dir, "absent"), 5, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(c.path, c.limit)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestValuesAreFoundAtTheirPath(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		want    []string
		skipped Skipped
		broken  bool
	}{
		"in order":                      {`{"x": [[]], "a": [{"b": 1}, {"c": 2, "b": "two"}]}`, []string{"1", `"two"`}, 0, false},
		"nowhere":                       {`{"b": 1}`, nil, 0, false},
		"beside values of other types":  {`{"a": [7, {"b": 1}, "x", null, [3]]}`, []string{"1"}, 3, false},
		"a list that is none":           {`{"a": "no list"}`, nil, 1, false},
		"twice under one name":          {`{"a": [{"b": 1}], "a": [{"b": 2}]}`, []string{"1", "2"}, 0, false},
		"in a document that is cut":     {`{"a": [{"b": 1}, {"b"`, []string{"1"}, 0, true},
		"in a document of a single row": {`[[[[`, nil, 0, true},
		"in nothing":                    {``, nil, 0, true},
		"below too many brackets":       {`{"z": ` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, nil, 0, true},
		"larger than an element may be": {`{"a": [{"b": "` + strings.Repeat("x", maxElement) + `"}, {"b": 1}]}`, []string{"1"}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			skipped, err := Each([]byte(c.text), func(raw json.RawMessage) error { got = append(got, string(raw)); return nil }, "a", "*", "b")
			if diff := cmp.Diff(c.want, got); diff != "" || skipped != c.skipped || (err != nil) != c.broken {
				t.Errorf("%d skipped, want %d; error %v\n%s", skipped, c.skipped, err, diff)
			}
		})
	}
}

func TestLenientTypesTakeWhatIsThere(t *testing.T) {
	var v struct {
		Number, String, Wrong Text
		List, One, Mixed      List[Text]
		Object, Other         Object[struct{ A int }]
	}
	err := json.Unmarshal([]byte(`{"number": 7, "string": "7", "wrong": {"a": 1}, "list": ["a", 1], "one": "a", "mixed": ["a", null, {}],
"object": {"a": 1}, "other": [1]}`), &v)
	if err != nil {
		t.Fatal(err)
	}
	if v.Number != "7" || v.String != "7" || v.Wrong != "" || len(v.List) != 2 || len(v.One) != 1 || len(v.Mixed) != 2 || v.Object.V.A != 1 || v.Other.V.A != 0 {
		t.Errorf("got %+v", v)
	}
}

func TestPackagesOfSBOMs(t *testing.T) {
	spdx := `{"creationInfo": {"creators": ["Organization: x", "Tool: qscanner-4.8.0"]}, "packages": [
{"name": "image"},
{"name": "b", "versionInfo": "2", "externalRefs": [{"referenceType": "cpe23Type", "referenceLocator": "cpe"}, {"referenceType": "purl", "referenceLocator": "pkg:deb/debian/b@2"}]},
{"name": "a", "versionInfo": "1", "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:pypi/a@1"}]},
{"name": "a", "versionInfo": "1", "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:pypi/a@1"}]},
{"name": "bad", "externalRefs": [{"referenceType": "purl", "referenceLocator": "no url"}]},
{"externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:npm/%40x/named-by-url@3"}]},
{"name": "\u001b[2J", "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:npm/y@3"}]}]}`
	in, err := SPDX([]byte(spdx), "test")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range in.Packages {
		got = append(got, p.Type+" "+p.Name+" "+p.Version)
	}
	if diff := cmp.Diff([]string{"deb b 2", `npm \x1b[2J 3`, "npm named-by-url 3", "pypi a 1"}, got); diff != "" || in.Skipped != 1 || in.Tool != "qscanner-4.8.0" {
		t.Errorf("%d skipped, tool %q\n%s", in.Skipped, in.Tool, diff)
	}
	in, err = CycloneDX([]byte(`{"metadata": {"tools": {"components": [7, {"name": "x"}, {"name": "trivy", "version": "0.74.0"}]}}, "components": [{"name": "os"}, {"name": "a", "version": "1", "purl": "pkg:pypi/a@1"}, {"purl": "x"}, 5]}`), "test")
	if err != nil || len(in.Packages) != 1 || in.Packages[0].PURL != "pkg:pypi/a@1" || in.Skipped != 2 || in.Tool != "trivy-0.74.0" {
		t.Errorf("CycloneDX: %+v, %v", in, err)
	}
}

func TestTheTextOfAnSBOMHasABound(t *testing.T) {
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, `{"name": "a%d", "version": "%s", "purl": "pkg:pypi/a%[1]d@1%s"}, `, i, strings.Repeat("1", 200), strings.Repeat("0", 1000))
	}
	in, err := CycloneDX([]byte(`{"components": [`+b.String()+`{}]}`), "test")
	if err != nil || len(in.Packages) < 10_000 || len(in.Packages)+int(in.Skipped) != 20_000 {
		t.Errorf("%d packages, %d skipped, %v", len(in.Packages), in.Skipped, err)
	}
}

func TestOnlySoundDocumentsAreHandedOn(t *testing.T) {
	for text, sound := range map[string]bool{
		`{"a": 1}`: true, ``: false, " \n": false, `{`: false, "{\"a\": \"\xff\"}": false,
		strings.Repeat("[", 20000) + strings.Repeat("]", 20000): false,
	} {
		if err := Sound([]byte(text)); (err == nil) != sound {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}
