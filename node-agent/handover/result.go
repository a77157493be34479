// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"golang.org/x/sys/unix"
)

// A result is one file: a line that is a list of parts, and then their contents, one after the other. As a directory with a file for
// each it was four inodes made and freed for each image, and ext4 goes past all that were freed in the last minute when it makes
// one: a fifth of the scanner's CPU where images are matched again.

// part is a file of a result.
type part struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// maxParts bounds the parts of a result. There are six kinds of documents.
const maxParts = 32

// WriteResult writes the files of a result into the directory of results, under the name of the folder that an event tells then.
func WriteResult(results, folder string, files map[string][]byte) error {
	var parts []part
	var contents [][]byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		parts = append(parts, part{name, int64(len(files[name]))})
		contents = append(contents, files[name])
	}
	list, err := json.Marshal(parts)
	if err != nil {
		return err
	}
	path := filepath.Join(results, folder)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	for _, content := range slices.Insert(contents, 0, append(list, '\n')) {
		if _, err = f.Write(content); err != nil {
			break
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// folderName is what the scanner calls its results: nothing hidden, no separator.
var folderName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}$`)

// Result is a result, opened for reading. It holds nothing but what is in its file.
type Result struct {
	f     *os.File
	parts map[string]section
}

// section is where a part lies.
type section struct{ from, size int64 }

// Open opens a result.
func (r *Reporter) Open(folder string) (*Result, error) {
	if !folderName.MatchString(folder) {
		return nil, fmt.Errorf("the result has the invalid name %.80q", folder)
	}
	f, err := openRegular(filepath.Join(r.results, folder))
	if err != nil {
		return nil, fmt.Errorf("the result: %w", err)
	}
	parts, err := readParts(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("the result %s: %w", folder, err)
	}
	return &Result{f, parts}, nil
}

var errForged = errors.New("its list of parts is none that a scanner writes")

// readParts reads the list at the begin of a file. Every part lies in the file, and no two share a byte or a name.
func readParts(f *os.File) (map[string]section, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	begin := make([]byte, min(info.Size(), maxParts*256))
	if _, err := io.ReadFull(f, begin); err != nil {
		return nil, err
	}
	end := bytes.IndexByte(begin, '\n')
	var list []part
	if end < 0 || json.Unmarshal(begin[:end], &list) != nil || len(list) > maxParts {
		return nil, errForged
	}
	parts, at := map[string]section{}, int64(end)+1
	for _, p := range list {
		if _, twice := parts[p.Name]; twice || p.Size < 0 || p.Size > info.Size()-at {
			return nil, errForged
		}
		parts[p.Name] = section{at, p.Size}
		at += p.Size
	}
	return parts, nil
}

// Close closes the result, and what was opened of it.
func (r *Result) Close() error { return r.f.Close() }

// Size returns the size of a file of the result.
func (r *Result) Size(name string) (int64, error) {
	p, is := r.parts[name]
	if !is {
		return 0, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return p.size, nil
}

// File opens a file of the result whose size is at most limit bytes.
func (r *Result) File(name string, limit int64) (io.ReadCloser, error) {
	size, err := r.Size(name)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s: %d bytes are more than the %d that are read", name, size, limit)
	}
	return io.NopCloser(io.NewSectionReader(r.f, r.parts[name].from, size)), nil
}

// Text is the content of a file of the result whose size is at most limit bytes.
func (r *Result) Text(name string, limit int64) ([]byte, error) {
	f, err := r.File(name, limit)
	if err != nil {
		return nil, err
	}
	text := make([]byte, r.parts[name].size)
	_, err = io.ReadFull(f, text)
	return text, err
}
