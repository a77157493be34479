package rpmdb

import (
	"encoding/binary"
	"io"
)

// Berkeley DB's hash layout (libdb, src/dbinc/db_page.h). Numbers have the byte order of the machine that wrote them.
const (
	bdbHashMagic = 0x061561

	bdbPageHeader   = 26
	bdbHashUnsorted = 2 // RHEL 5
	bdbOverflow     = 7
	bdbHash         = 13

	bdbOffPage     = 3  // item: the value is a chain of overflow pages
	bdbOffPageSize = 12 // type, 3 unused, first page, length
)

// readBDB walks every hash page. Values of package headers are longer than a quarter of a page, so they lie on overflow
// pages; short inline values are other records, such as rpm's counter at key 0.
func readBDB(r io.ReaderAt, size int64, order binary.ByteOrder, each func([]byte) error) error {
	var meta [72]byte
	if err := readFull(r, meta[:], 0); err != nil {
		return err
	}
	pageSize := int64(order.Uint32(meta[20:]))
	if pageSize < 512 || pageSize > 64<<10 || pageSize&(pageSize-1) != 0 {
		return damaged("a Berkeley DB page of %d bytes", pageSize)
	}
	if encryption := meta[24]; encryption != 0 {
		return damaged("it is encrypted")
	}
	// Hash pages and overflow pages are disjoint, so both may be marked in the same map.
	p := newPages(r, size, pageSize)
	page, chain := make([]byte, pageSize), make([]byte, pageSize)
	for i := range min(int64(order.Uint32(meta[32:]))+1, p.n) {
		if err := readFull(r, page, i*pageSize); err != nil {
			return err
		}
		if kind := page[25]; kind != bdbHash && kind != bdbHashUnsorted {
			continue
		}
		if err := readBDBItems(p, page, chain, order, each); err != nil {
			return err
		}
	}
	return nil
}

// readBDBItems yields the values of one hash page. Items alternate: key, value.
func readBDBItems(p *pages, page, chain []byte, order binary.ByteOrder, each func([]byte) error) error {
	items := int(order.Uint16(page[20:]))
	if bdbPageHeader+2*items > len(page) {
		return damaged("a hash page claims %d items", items)
	}
	for item := 1; item < items; item += 2 {
		at := int(order.Uint16(page[bdbPageHeader+2*item:]))
		if at+bdbOffPageSize > len(page) || page[at] != bdbOffPage {
			continue
		}
		blob, err := readBDBChain(p, chain, order, int64(order.Uint32(page[at+4:])), int64(order.Uint32(page[at+8:])))
		if err != nil {
			return err
		}
		if err := each(blob); err != nil {
			return err
		}
	}
	return nil
}

// readBDBChain joins the value of length bytes that begins on overflow page i.
func readBDBChain(p *pages, buf []byte, order binary.ByteOrder, i, length int64) ([]byte, error) {
	if length > maxHeader || length > p.n*p.size {
		return nil, damaged("a package header claims %d bytes", length)
	}
	blob := make([]byte, 0, length)
	for int64(len(blob)) < length {
		if err := p.read(i, buf); err != nil {
			return nil, err
		}
		if buf[25] != bdbOverflow {
			return nil, damaged("page %d is no overflow page", i)
		}
		used := int64(order.Uint16(buf[22:]))
		if used == 0 || bdbPageHeader+used > p.size {
			return nil, damaged("page %d claims %d bytes", i, used)
		}
		blob = append(blob, buf[bdbPageHeader:][:min(used, length-int64(len(blob)))]...)
		i = int64(order.Uint32(buf[16:]))
	}
	return blob, nil
}
