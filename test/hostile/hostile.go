// Package hostile writes the outputs of an engine that an image led astray, for the doubles of engines.
package hostile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// wrongTypes and elements are of qscanner's documents and of trivy's at once: each reader finds its own.
const wrongTypes = `{"packages": [1, "two", null, {"name": [], "externalRefs": 7}], "components": {}, "runs": [{"tool": 5,
"results": ["x", {"ruleId": {}, "properties": []}, {"properties": {"vulnerableSoftware": "openssl"}}]}],
"SchemaVersion": 2, "Trivy": [], "Metadata": 7, "Results": [1, "two", null, {"Class": {}, "Packages": "none", "Vulnerabilities": {"a": 1}},
{"Packages": [1, {"Name": [], "Identifier": 7}], "Vulnerabilities": ["x", {"VulnerabilityID": {}}], "Secrets": [[]]}]}`

func elements() []byte {
	list := strings.Repeat(`{},`, 1<<20) + `{}`
	return []byte(`{"packages": [` + list + `], "runs": [{"results": [` + list + `]}], "SchemaVersion": 2, "Results": [{"Packages": [` + list + `]}]}`)
}

// Write writes content to the file, spoiled: "" not at all, missing, empty, cut in half, huge (100 MiB), large (content behind
// 31 MiB of a string), deep (a million levels), elements (a million), wrong-types, invalid-utf8, escapes (the name of a
// package moves the cursor), and link, fifo and directory in its place.
func Write(name string, content []byte, how string) error {
	switch how {
	case "":
	case "missing":
		return nil
	case "empty":
		content = nil
	case "cut":
		content = content[:len(content)/2]
	case "link":
		return os.Symlink("/etc/passwd", name)
	case "fifo":
		return unix.Mkfifo(name, 0o600)
	case "directory":
		return os.Mkdir(name, 0o700)
	case "huge":
		return pad(name, 100, []byte(`"packages": []}`))
	case "large":
		return pad(name, 31, content[1:])
	case "deep":
		content = append(bytes.Repeat([]byte("["), 1<<20), bytes.Repeat([]byte("]"), 1<<20)...)
	case "wrong-types":
		content = []byte(wrongTypes)
	case "elements":
		content = elements()
	case "invalid-utf8":
		content = bytes.ReplaceAll(content, []byte("double"), []byte("d\xff\xfeuble"))
	case "escapes":
		content = bytes.ReplaceAll(content, []byte(`"openssl"`), []byte(`"openssl\u001b[2J\u202e"`))
	default:
		return fmt.Errorf("output %s: no such way to spoil it", how)
	}
	return os.WriteFile(name, content, 0o600)
}

// pad writes an object that begins with a string of so many MiB. It holds none of it, so that the caller's memory can be
// measured together with this program's.
func pad(name string, mebi int, rest []byte) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(`{"double": "`); err != nil {
		return err
	}
	if err := repeat(f, "x", mebi); err != nil {
		return err
	}
	_, err = f.Write(append([]byte(`", `), rest...))
	return err
}

// Shout writes so many MiB to w that clear a terminal, and then a last line that does.
func Shout(w io.Writer, mebi int) error {
	if err := repeat(w, "\x1b[2J\u202e\xff\n", mebi); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\x1b]0;owned\x07\x1b[2Jthe last words\n")
	return err
}

func repeat(w io.Writer, what string, mebi int) error {
	block := bytes.Repeat([]byte(what), 1<<20/len(what))
	for range mebi {
		if _, err := w.Write(block); err != nil {
			return err
		}
	}
	return nil
}

// Instructions gives each line of a double's behaviour file in the directory that it scans, word by
// word. Without the file there is none.
func Instructions(root, file string, each func(words []string) error) error {
	text, err := os.ReadFile(filepath.Join(root, file))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if err := each(strings.Fields(line)); err != nil {
			return fmt.Errorf("%s: %q: %w", file, line, err)
		}
	}
	return nil
}
