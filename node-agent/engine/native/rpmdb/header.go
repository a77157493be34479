package rpmdb

import (
	"bytes"
	"encoding/binary"
)

// Tags of a package header (rpm, include/rpm/rpmtag.h).
const (
	tagName         = 1000
	tagVersion      = 1001
	tagRelease      = 1002
	tagEpoch        = 1003
	tagVendor       = 1011
	tagLicense      = 1014
	tagArch         = 1022
	tagOldFilenames = 1027
	tagSourceRPM    = 1044
	tagDirIndexes   = 1116
	tagBaseNames    = 1117
	tagDirNames     = 1118
)

// Types of a header's entries (rpm, include/rpm/rpmtag.h).
const (
	typeInt32       = 4
	typeString      = 6
	typeStringArray = 8
	typeI18NString  = 9
)

// Package is what a header says of its package. Strings are as they are in the file, not made printable.
type Package struct {
	Name, Version, Release string
	Epoch                  uint32
	Arch                   string
	SourceRPM              string // file name of the source package
	Vendor                 string
	License                string
}

// Header is one package's header.
type Header struct {
	entries map[uint32]entry
	data    []byte
}

type entry struct{ kind, offset, count uint32 }

const (
	introSize = 8
	entrySize = 16
)

// parseHeader indexes a header as rpm stores it: the numbers of entries and of data bytes, the entries, the data (rpm,
// lib/header.c). Where a tag appears twice, the later entry holds: rpm appends changes made at installation as "dribbles".
func parseHeader(blob []byte) (Header, error) {
	if len(blob) < introSize {
		return Header{}, damaged("a package header has only %d bytes", len(blob))
	}
	count := int64(binary.BigEndian.Uint32(blob))
	length := int64(binary.BigEndian.Uint32(blob[4:]))
	if introSize+count*entrySize+length > int64(len(blob)) {
		return Header{}, damaged("a package header claims %d entries and %d bytes of data in %d bytes", count, length, len(blob))
	}
	h := Header{entries: map[uint32]entry{}, data: blob[introSize+count*entrySize:][:length]}
	for i := range count {
		raw := blob[introSize+i*entrySize:]
		tag := binary.BigEndian.Uint32(raw)
		switch tag {
		case tagName, tagVersion, tagRelease, tagEpoch, tagVendor, tagLicense, tagArch, tagSourceRPM,
			tagOldFilenames, tagDirIndexes, tagBaseNames, tagDirNames:
			h.entries[tag] = entry{
				kind:   binary.BigEndian.Uint32(raw[4:]),
				offset: binary.BigEndian.Uint32(raw[8:]),
				count:  binary.BigEndian.Uint32(raw[12:]),
			}
		}
	}
	return h, nil
}

// Package returns the header's package; an error when it has no name or no version.
func (h Header) Package() (Package, error) {
	p := Package{
		Name:      h.text(tagName),
		Version:   h.text(tagVersion),
		Release:   h.text(tagRelease),
		Arch:      h.text(tagArch),
		SourceRPM: h.text(tagSourceRPM),
		Vendor:    h.text(tagVendor),
		License:   h.text(tagLicense),
	}
	if epochs := h.int32s(tagEpoch); len(epochs) >= 4 {
		p.Epoch = binary.BigEndian.Uint32(epochs)
	}
	if p.Name == "" || p.Version == "" {
		return Package{}, damaged("a package header has no name or no version")
	}
	return p, nil
}

// Files calls yield with the absolute path of every file of the package until yield returns false.
func (h Header) Files(yield func(path string) bool) {
	for name := range h.strings(tagOldFilenames) {
		if !yield(string(name)) {
			return
		}
	}
	var dirs [][]byte
	for dir := range h.strings(tagDirNames) {
		dirs = append(dirs, dir)
	}
	indexes := h.int32s(tagDirIndexes)
	for base := range h.strings(tagBaseNames) {
		if len(indexes) < 4 {
			return
		}
		i := binary.BigEndian.Uint32(indexes)
		indexes = indexes[4:]
		if int64(i) < int64(len(dirs)) && !yield(string(dirs[i])+string(base)) {
			return
		}
	}
}

// text returns the first string of a tag, or "".
func (h Header) text(tag uint32) string {
	for s := range h.strings(tag) {
		return string(s)
	}
	return ""
}

// strings iterates over the NUL-ended strings of a tag, as far as they lie inside the data.
func (h Header) strings(tag uint32) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		e, ok := h.entries[tag]
		if !ok || e.kind != typeString && e.kind != typeStringArray && e.kind != typeI18NString || int64(e.offset) > int64(len(h.data)) {
			return
		}
		rest := h.data[e.offset:]
		for range e.count {
			s, after, ended := bytes.Cut(rest, []byte{0})
			if !ended || !yield(s) {
				return
			}
			rest = after
		}
	}
}

// int32s returns the big-endian 32-bit numbers of a tag, as far as they lie inside the data.
func (h Header) int32s(tag uint32) []byte {
	e, ok := h.entries[tag]
	if !ok || e.kind != typeInt32 || int64(e.offset) > int64(len(h.data)) {
		return nil
	}
	rest := h.data[e.offset:]
	return rest[:min(int64(len(rest)), 4*int64(e.count))]
}
