// Package osrelease reads which operating system an image says it is. It parses, it never sources: os-release is a shell
// script by its format, and an image's is written by whoever wrote the image.
package osrelease

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// maxFile bounds what is read of an os-release file; real ones have under 1 KiB.
const maxFile = 64 << 10

// maxValue bounds a field as it is reported.
const maxValue = 256

// Read returns the operating system of the image at root, from etc/os-release, usr/lib/os-release or, for RHEL and CentOS
// up to 6, which have neither, etc/redhat-release. The zero OS means that the image names none. A file that cannot be read
// is passed over, as os-release(5) tells programs to do.
func Read(root fs.FS) engine.OS {
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		if os := fromFields(Parse(readFile(root, name))); os.Known() {
			return os
		}
	}
	return fromRedHatRelease(readFile(root, "etc/redhat-release"))
}

func readFile(root fs.FS, name string) []byte {
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // opened for reading
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil
	}
	return data
}

// Parse returns the assignments of an os-release file, values unquoted as os-release(5) says, not yet made printable. The
// last assignment of a name wins, as it would in a shell.
func Parse(data []byte) map[string]string {
	fields := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxFile+1)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		fields[name] = unquote(value)
	}
	return fields
}

// unquote removes shell quoting. Backslash escapes count outside single quotes, as in a shell; nothing is expanded.
func unquote(s string) string {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func fromFields(fields map[string]string) engine.OS {
	get := func(name string) string { return engine.Text(fields[name], maxValue) }
	os := engine.OS{
		Family:   get("ID"),
		Version:  get("VERSION_ID"),
		Name:     get("PRETTY_NAME"),
		Codename: get("VERSION_CODENAME"),
		CPE:      get("CPE_NAME"),
	}
	if os.Version == "" {
		os.Version = get("BUILD_ID")
	}
	if os.Name == "" {
		os.Name = strings.TrimSpace(get("NAME") + " " + os.Version)
	}
	if get("NAME") == "" && os.Family == "" && get("PRETTY_NAME") == "" {
		return engine.OS{}
	}
	return os
}

// redHatRelease matches "CentOS release 6.10 (Final)" and "Red Hat Enterprise Linux Server release 6.9 (Santiago)".
var redHatRelease = regexp.MustCompile(`^(.{1,80}?) release (\d+(?:\.\d+){0,3})`)

func fromRedHatRelease(data []byte) engine.OS {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	m := redHatRelease.FindSubmatch(line)
	if m == nil {
		return engine.OS{}
	}
	os := engine.OS{Version: string(m[2]), Name: engine.Text(strings.TrimSpace(string(line)), maxValue)}
	switch name := strings.ToLower(string(m[1])); {
	case strings.HasPrefix(name, "centos"):
		os.Family = "centos"
	case strings.HasPrefix(name, "red hat enterprise linux"):
		os.Family = "rhel"
	case strings.HasPrefix(name, "scientific linux"):
		os.Family = "scientific"
	}
	return os
}

// Normalise reads an os-release file and returns the same assignments sorted by name, every value in double quotes and on
// one line, for parsers that know no more than that.
func Normalise(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile))
	if err != nil {
		return nil, err
	}
	fields := Parse(data)
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, "%s=\"%s\"\n", name, fields[name])
	}
	return b.Bytes(), nil
}
