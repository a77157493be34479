// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package targetlist reads lists of what to scan, a target a line, as the shell toolkits of HPC
// sites have them (targets.txt).
package targetlist

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Bounds of a list. A ConfigMap holds 1 MiB; a list of all images of a large site, 100,000 paths
// of 100 bytes, has 10.
const (
	MaxBytes = 16 << 20
	MaxLines = 200_000
	// maxLine is the longest path that Linux opens, and a prefix.
	maxLine = 4096 + 16
)

// Kind is what a target is.
type Kind int

// The kinds of targets.
const (
	Path Kind = iota
	// Reference names an image in a registry.
	Reference
)

// Target is a line.
type Target struct {
	Kind Kind
	// Text is the path or reference without its prefix, raw bytes.
	Text string
	// Line counts from 1.
	Line int
}

// Parse reads a list. Blank lines, and lines whose first character is #, are no targets; spaces
// around a line, CR at its end and a byte order mark are no part of it. A target that is listed
// twice counts once. The error names the line that cannot be read.
func Parse(r io.Reader) ([]Target, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("the list is longer than %d bytes", MaxBytes)
	}
	if bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
		return nil, errors.New("the list is UTF-16: save it as UTF-8")
	}
	text = bytes.TrimPrefix(text, []byte{0xef, 0xbb, 0xbf})

	var targets []Target
	type key struct {
		Kind
		text string
	}
	seen := map[key]bool{}
	for number := 1; len(text) > 0; number++ {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		if line = bytes.Trim(line, " \t\r\v\f"); len(line) == 0 || line[0] == '#' {
			continue
		}
		switch {
		case number > MaxLines:
			return nil, fmt.Errorf("the list has more than %d lines", MaxLines)
		case len(line) > maxLine:
			return nil, fmt.Errorf("line %d is longer than %d bytes", number, maxLine)
		case bytes.IndexByte(line, 0) >= 0:
			return nil, fmt.Errorf("line %d holds a NUL byte, which no path has: is this a list?", number)
		}
		t := detect(string(line))
		if t.Text == "" {
			return nil, fmt.Errorf("line %d names nothing behind its prefix", number)
		}
		if t.Line = number; !seen[key{t.Kind, t.Text}] {
			seen[key{t.Kind, t.Text}] = true
			targets = append(targets, t)
		}
	}
	return targets, nil
}

// prefixes say what a target is.
var prefixes = []struct {
	prefix string
	kind   Kind
}{
	{"sif:", Path},
	{"image:", Reference},
	{"docker://", Reference},
}

// Explicit is what a prefix says a target is: sif:PATH, image:REFERENCE, docker://REFERENCE. Without one it is a path.
func Explicit(text string) Target {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(text, p.prefix); ok {
			return Target{Kind: p.kind, Text: strings.TrimSpace(rest)}
		}
	}
	return Target{Kind: Path, Text: text}
}

// imageNames end the names of image files.
var imageNames = []string{".sif", ".simg", ".sqsh", ".squashfs", ".img"}

// detect tells paths and references apart: one that begins with a registry's host name
// (docker.io/library/nginx, localhost:5000/app), and does not end like an image file, is a reference.
func detect(line string) Target {
	t := Explicit(line)
	if t.Text != line || strings.HasPrefix(line, "/") || strings.HasPrefix(line, ".") {
		return t
	}
	host, rest, _ := strings.Cut(line, "/")
	if rest == "" || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return t
	}
	for _, end := range imageNames {
		if path.Ext(line) == end {
			return t
		}
	}
	t.Kind = Reference
	return t
}
