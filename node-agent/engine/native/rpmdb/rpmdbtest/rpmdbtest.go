// Package rpmdbtest builds small RPM databases, for tests, in the three formats rpm has used.
package rpmdbtest

import (
	"encoding/binary"
	"path"
)

// Package is what goes into a package's header.
type Package struct {
	Name, Version, Release, Arch, SourceRPM, License, Vendor string
	Epoch                                                    uint32
	Files                                                    []string // absolute paths
	// Padding is the length of a further, unread string that makes the header long enough for overflow pages.
	Padding int
}

const (
	typeInt32       = 4
	typeString      = 6
	typeStringArray = 8
)

// Header returns the package's header as rpm stores it (rpm, lib/header.c).
func (p Package) Header() []byte {
	var index, data []byte
	count := uint32(0)
	add := func(tag, kind, n uint32, value []byte) {
		if kind == typeInt32 {
			for len(data)%4 != 0 {
				data = append(data, 0)
			}
		}
		for _, v := range []uint32{tag, kind, uint32(len(data)), n} {
			index = binary.BigEndian.AppendUint32(index, v)
		}
		data = append(data, value...)
		count++
	}
	text := func(tag uint32, s string) {
		if s != "" {
			add(tag, typeString, 1, append([]byte(s), 0))
		}
	}
	text(1000, p.Name)
	text(1001, p.Version)
	text(1002, p.Release)
	if p.Epoch != 0 {
		add(1003, typeInt32, 1, binary.BigEndian.AppendUint32(nil, p.Epoch))
	}
	text(1011, p.Vendor)
	text(1014, p.License)
	text(1022, p.Arch)
	text(1044, p.SourceRPM)
	text(1005, string(make([]byte, p.Padding))) // description
	if len(p.Files) > 0 {
		var indexes, bases, dirs []byte
		for i, file := range p.Files {
			indexes = binary.BigEndian.AppendUint32(indexes, uint32(i))
			bases = append(append(bases, path.Base(file)...), 0)
			dirs = append(append(dirs, path.Dir(file)+"/"...), 0)
		}
		n := uint32(len(p.Files))
		add(1116, typeInt32, n, indexes)
		add(1117, typeStringArray, n, bases)
		add(1118, typeStringArray, n, dirs)
	}
	blob := binary.BigEndian.AppendUint32(nil, count)
	blob = binary.BigEndian.AppendUint32(blob, uint32(len(data)))
	return append(append(blob, index...), data...)
}

// PageSize is the size of a page in all databases built here.
const PageSize = 4096

// BDB returns a Berkeley DB hash database (/var/lib/rpm/Packages).
func BDB(order binary.ByteOrder, packages ...Package) []byte {
	const header, overflow = 26, PageSize - 26
	hash := make([]byte, PageSize)
	hash[25] = 13
	order.PutUint16(hash[20:], uint16(2*len(packages)))
	var chain []byte
	nextPage := uint32(2)
	item := PageSize
	for i, p := range packages {
		item -= 5 // key: an inline item with the package's number
		hash[item] = 1
		order.PutUint32(hash[item+1:], uint32(i+1))
		order.PutUint16(hash[header+4*i:], uint16(item))
		blob := p.Header()
		item -= 12
		hash[item] = 3
		order.PutUint32(hash[item+4:], nextPage)
		order.PutUint32(hash[item+8:], uint32(len(blob)))
		order.PutUint16(hash[header+4*i+2:], uint16(item))
		for len(blob) > 0 {
			n := min(len(blob), overflow)
			page := make([]byte, PageSize)
			page[25] = 7
			order.PutUint16(page[22:], uint16(n))
			copy(page[header:], blob[:n])
			blob = blob[n:]
			nextPage++
			if len(blob) > 0 {
				order.PutUint32(page[16:], nextPage)
			}
			chain = append(chain, page...)
		}
	}
	meta := make([]byte, PageSize)
	order.PutUint32(meta[12:], 0x061561)
	order.PutUint32(meta[20:], PageSize)
	meta[25] = 8
	order.PutUint32(meta[32:], nextPage-1)
	return append(append(meta, hash...), chain...)
}

// NDB returns an ndb database (Packages.db).
func NDB(packages ...Package) []byte {
	le := binary.LittleEndian
	slots := make([]byte, PageSize)
	copy(slots, "RpmP")
	le.PutUint32(slots[12:], 1)
	for at := 32; at < PageSize; at += 16 {
		copy(slots[at:], "Slot")
	}
	var blobs []byte
	for i, p := range packages {
		slot := slots[32+16*i:]
		le.PutUint32(slot[4:], uint32(i+1))
		le.PutUint32(slot[8:], uint32((PageSize+len(blobs))/16))
		header := p.Header()
		blobs = append(blobs, "BlbS"...)
		blobs = le.AppendUint32(blobs, uint32(i+1))
		blobs = le.AppendUint32(blobs, 0)
		blobs = le.AppendUint32(blobs, uint32(len(header)))
		blobs = append(blobs, header...)
		for len(blobs)%16 != 0 {
			blobs = append(blobs, 0)
		}
	}
	return append(slots, blobs...)
}
