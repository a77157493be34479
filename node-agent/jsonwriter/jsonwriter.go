// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package jsonwriter writes JSON of which there is much: findings, tens or thousands for each image.
//
// The Encoder of go-json-experiment's jsontext, whose Decoder strictjson reads with, writes the same. It took 102 µs for 59 findings
// in one line, and this 44; indented 105 and 79. Of the CPU of the scanner, where images are matched again and every finding is another,
// that would be about a sixteenth more. It ends no line within a list, as SARIF has its results here.
package jsonwriter

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// Writer appends JSON as an Encoder of encoding/json would write it that escapes no HTML. That one looks at types by reflection, and
// goes over each text again to indent it: for the findings of an image this takes a sixth of its time. Calls make the structure: an
// object is Begin('{'), its members, each a Name and a value, and End('}').
type Writer struct {
	// Prefix begins each line but the first, and Indent is added for each level. Where both are empty, all is one line.
	Prefix, Indent string

	text  []byte
	depth int
	// empty: nothing was written yet since the last bracket was opened. named: a name waits for its value.
	empty, named bool
	err          error
}

// Grow makes room for so many bytes.
func (w *Writer) Grow(n int) {
	if free := cap(w.text) - len(w.text); free < n {
		w.text = append(make([]byte, 0, len(w.text)+n), w.text...)
	}
}

// Text is what was written, and the first error.
func (w *Writer) Text() ([]byte, error) { return w.text, w.err }

// Begin opens an object or a list.
func (w *Writer) Begin(bracket byte) {
	w.item()
	w.text = append(w.text, bracket)
	w.depth++
	w.empty = true
}

// End closes what Begin opened.
func (w *Writer) End(bracket byte) {
	w.depth--
	if !w.empty {
		w.line()
	}
	w.text = append(w.text, bracket)
	w.empty = false
}

// Name begins a member. The name is one that needs no escapes.
func (w *Writer) Name(name string) {
	w.item()
	w.text = append(append(append(w.text, '"'), name...), `":`...)
	if w.indents() {
		w.text = append(w.text, ' ')
	}
	w.named = true
}

// String writes a string.
func (w *Writer) String(s string) {
	w.item()
	if !simple(s) {
		w.encode(s)
		return
	}
	w.text = append(append(append(w.text, '"'), s...), '"')
}

// Int writes a number.
func (w *Writer) Int(n int) {
	w.item()
	w.text = strconv.AppendInt(w.text, int64(n), 10)
}

// Float writes a number that need not be whole.
func (w *Writer) Float(f float64) {
	if size := math.Abs(f); f != 0 && (size < 1e-6 || size >= 1e21) || math.IsNaN(f) { // those have exponents, or are no numbers of JSON
		w.Value(f)
		return
	}
	w.item()
	w.text = strconv.AppendFloat(w.text, f, 'f', -1, 64)
}

// Value writes any value in one line.
func (w *Writer) Value(v any) {
	w.item()
	w.encode(v)
}

// Member writes a member that is a string.
func (w *Writer) Member(name, value string) {
	w.Name(name)
	w.String(value)
}

// Optional is Member for a string that is left out where it is empty.
func (w *Writer) Optional(name, value string) {
	if value != "" {
		w.Member(name, value)
	}
}

// Open writes an object of which more members follow, and End.
func (w *Writer) Open(v any) {
	w.Value(v)
	last := len(w.text) - 1
	if w.err != nil || w.text[last] != '}' {
		w.err = cmp.Or(w.err, errNoObject)
		return
	}
	w.text = w.text[:last]
	w.depth++
	w.empty = last > 0 && w.text[last-1] == '{'
}

var errNoObject = errors.New("what is no object has no members")

// Break ends a line where nothing is indented.
func (w *Writer) Break() { w.text = append(w.text, '\n') }

// item writes what stands before a value or a name.
func (w *Writer) item() {
	switch {
	case w.named:
		w.named = false
	case w.depth > 0:
		if !w.empty {
			w.text = append(w.text, ',')
		}
		w.empty = false
		w.line()
	}
}

func (w *Writer) indents() bool { return w.Prefix != "" || w.Indent != "" }

func (w *Writer) line() {
	if !w.indents() {
		return
	}
	w.text = append(append(w.text, '\n'), w.Prefix...)
	for range w.depth {
		w.text = append(w.text, w.Indent...)
	}
}

func (w *Writer) encode(v any) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil && w.err == nil {
		w.err = err
	}
	w.text = append(w.text, strings.TrimSuffix(b.String(), "\n")...)
}

// simple reports whether a string stands for itself: nearly every text of a report does.
func simple(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
