// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package strictjson reads JSON text that is held in memory and that somebody may have forged. It takes a value at a time, in
// the order of the text, and refuses what encoding/json lets pass: bytes that are not UTF-8, halves of surrogate pairs, and
// null for a string. Strings without escapes, and values that are passed over, are parts of the text and take no memory.
// encoding/json's Decoder steps through each byte twice; reading inventories so was a sixth of the CPU of a scan in which only
// the database had changed.
package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// Reader reads a text from its begin.
type Reader struct {
	text    string
	decoder *jsontext.Decoder
}

// New returns a Reader of the text, which nothing may change any more: the strings that are read are parts of it.
func New(text []byte) *Reader {
	// As strings.Builder does it. A copy of each inventory and report was a fifth of what matching an image again allocates.
	whole := unsafe.String(unsafe.SliceData(text), len(text))
	// The decoder would keep the names of an object to know them again: of a forged one, many times its text.
	return &Reader{whole, jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true))}
}

// Object reads an object: each member's value by a function, which must read it.
func (r *Reader) Object(member func(name string) error) error {
	return r.each('{', '}', func() error {
		name, err := r.String()
		if err != nil {
			return err
		}
		return member(name)
	})
}

// List reads a list: each item by a function, which must read it. A null is no list.
func (r *Reader) List(item func() error) (present bool, err error) {
	if r.decoder.PeekKind() == 'n' {
		return false, r.token('n')
	}
	return true, r.each('[', ']', item)
}

// each reads what lies between brackets.
func (r *Reader) each(opening, closing jsontext.Kind, item func() error) error {
	if err := r.token(opening); err != nil {
		return err
	}
	for r.decoder.PeekKind() != closing {
		if err := item(); err != nil {
			return err
		}
	}
	return r.token(closing)
}

// token reads a token of a kind.
func (r *Reader) token(kind jsontext.Kind) error {
	token, err := r.decoder.ReadToken()
	if err == nil && token.Kind() != kind {
		err = fmt.Errorf("at byte %d there is %s where %s should be", r.decoder.InputOffset(), token.Kind(), kind)
	}
	return err
}

// String reads a string.
func (r *Reader) String() (s string, err error) {
	literal, err := r.Text(func() error { return r.token('"') })
	if err != nil {
		return "", err
	}
	if !strings.Contains(literal, `\`) {
		return literal[1 : len(literal)-1], nil
	}
	unquoted, err := jsontext.AppendUnquote(nil, literal)
	return string(unquoted), err
}

// Skip reads any value and returns its text.
func (r *Reader) Skip() (string, error) {
	return r.Text(func() error {
		_, err := r.decoder.ReadValue() // SkipValue goes token by token
		return err
	})
}

// Text returns the text of the value that a function reads.
func (r *Reader) Text(read func() error) (string, error) {
	from := r.decoder.InputOffset()
	err := read()
	text := r.text[from:r.decoder.InputOffset()]
	for len(text) > 0 && before(text[0]) {
		text = text[1:]
	}
	return text, err
}

// before says whether a byte may stand before a value.
func before(c byte) bool {
	return c == ' ' || c == '\n' || c == ',' || c == ':' || c == '\t' || c == '\r'
}

// End says whether nothing follows.
func (r *Reader) End() error {
	switch _, err := r.decoder.ReadToken(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("before byte %d something follows its end", r.decoder.InputOffset())
}
