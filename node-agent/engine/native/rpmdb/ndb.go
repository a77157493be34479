package rpmdb

import (
	"encoding/binary"
	"io"
)

// ndb's layout (rpm, lib/backend/ndb/rpmpkg.c): a header of two slots, then slots up to the end of the slot pages, then
// blobs at multiples of 16 bytes. All numbers are little-endian.
const (
	ndbMagic     = "RpmP"
	ndbSlotMagic = 'S' | 'l'<<8 | 'o'<<16 | 't'<<24
	ndbBlobMagic = 'B' | 'l'<<8 | 'b'<<16 | 'S'<<24
	ndbSlotSize  = 16
	ndbBlockSize = 16
	ndbPageSize  = 4096
)

func readNDB(r io.ReaderAt, size int64, each func([]byte) error) error {
	var head [32]byte
	if err := readFull(r, head[:], 0); err != nil {
		return err
	}
	if version := binary.LittleEndian.Uint32(head[4:]); version != 0 {
		return damaged("ndb version %d is not known", version)
	}
	end := int64(binary.LittleEndian.Uint32(head[12:])) * ndbPageSize
	if end > size {
		return damaged("its slots end at %d, beyond the file's %d bytes", end, size)
	}
	// Blobs do not overlap, so together they cannot be longer than the file.
	left := size
	page := make([]byte, ndbPageSize)
	for start := int64(0); start < end; start += ndbPageSize {
		if err := readFull(r, page, start); err != nil {
			return err
		}
		for at := int64(0); at < ndbPageSize; at += ndbSlotSize {
			if start+at < int64(len(head)) {
				continue
			}
			slot := page[at : at+ndbSlotSize]
			if binary.LittleEndian.Uint32(slot) != ndbSlotMagic {
				return damaged("the slot at offset %d has no magic", start+at)
			}
			pkg := binary.LittleEndian.Uint32(slot[4:])
			if pkg == 0 { // a free slot
				continue
			}
			blob, err := readNDBBlob(r, left, pkg, int64(binary.LittleEndian.Uint32(slot[8:]))*ndbBlockSize)
			if err != nil {
				return err
			}
			left -= int64(len(blob))
			if err := each(blob); err != nil {
				return err
			}
		}
	}
	return nil
}

func readNDBBlob(r io.ReaderAt, left int64, pkg uint32, off int64) ([]byte, error) {
	var head [16]byte
	if err := readFull(r, head[:], off); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(head[:]) != ndbBlobMagic || binary.LittleEndian.Uint32(head[4:]) != pkg {
		return nil, damaged("there is no header of package %d at offset %d", pkg, off)
	}
	n := int64(binary.LittleEndian.Uint32(head[12:]))
	if n > maxHeader || n > left {
		return nil, damaged("the header of package %d claims %d bytes", pkg, n)
	}
	blob := make([]byte, n)
	return blob, readFull(r, blob, off+int64(len(head)))
}
