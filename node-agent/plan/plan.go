// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plan is the list of what a run with several workers gives an outcome to. It is made
// once, by the first worker, and frozen: each worker's share is a pure function of it, so that a
// pod that takes over from a dead one, on whatever node and however the volume looks by then,
// goes on with the same images.
package plan

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// Kind says what an Item is.
type Kind string

// The kinds of items. The first three are targets.
const (
	// Image is one file, or a sandbox, on a volume.
	Image Kind = "image"
	// Directory is scanned as it is.
	Directory Kind = "directory"
	// Reference names an image in a registry.
	Reference Kind = "reference"
	// Failure is what was asked for, or has an image's name, and is no target.
	Failure Kind = "failure"
	// Nothing explains a list without targets; it is itself no part of any share.
	Nothing Kind = "nothing"
)

// Item is one line of the list.
type Item struct {
	Kind Kind
	// Volume is the index of its volume in the run; -1 where it is on none.
	Volume int
	// Path on the volume, raw bytes; on none, what names the item.
	Path string
	// Size in bytes, as the directory told; 0 where nothing tells.
	Size int64
	// Reason and Message of a Failure; Message of Nothing.
	Reason, Message string
}

// line is an Item as it is stored. JSON has no strings but Unicode's; paths are bytes.
type line struct {
	Kind    Kind   `json:"kind"`
	Volume  int    `json:"volume,omitempty"`
	Path    string `json:"path,omitempty"`
	Bytes   []byte `json:"pathBytes,omitempty"`
	Size    int64  `json:"size,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// MarshalJSON writes the stored form. A path that is not UTF-8 is pathBytes, in base64.
func (i Item) MarshalJSON() ([]byte, error) {
	l := line{Kind: i.Kind, Volume: i.Volume, Path: i.Path, Size: i.Size, Reason: i.Reason, Message: i.Message}
	if !utf8.ValidString(i.Path) {
		l.Path, l.Bytes = "", []byte(i.Path)
	}
	return json.Marshal(l)
}

// UnmarshalJSON reads the stored form.
func (i *Item) UnmarshalJSON(text []byte) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	*i = Item{Kind: l.Kind, Volume: l.Volume, Path: l.Path, Size: l.Size, Reason: l.Reason, Message: l.Message}
	if len(l.Bytes) > 0 {
		i.Path = string(l.Bytes)
	}
	return nil
}

// MaxLine bounds an item as it is stored: a path of PATH_MAX bytes and a message.
const MaxLine = 64 << 10

// MaxItems bounds a list. A million images take 300 MB of a scanner and 30 MB of etcd; a run of
// more is better several.
const MaxItems = 1_000_000

// Read calls each for every item of a stored list.
func Read(r io.Reader, each func(Item) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4<<10), MaxLine)
	for n := 1; lines.Scan(); n++ {
		if n > MaxItems {
			return fmt.Errorf("the list has more than %d lines", MaxItems)
		}
		var i Item
		if err := json.Unmarshal(lines.Bytes(), &i); err != nil {
			return fmt.Errorf("line %d of the list: %w", n, err)
		}
		if err := each(i); err != nil {
			return err
		}
	}
	return lines.Err()
}

// Write appends an item as Read reads it.
func Write(w io.Writer, i Item) error {
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	if len(text) >= MaxLine {
		return fmt.Errorf("a line of the list takes %d bytes, more than %d", len(text), MaxLine)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}
