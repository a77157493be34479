package rpmdbtest

import "encoding/binary"

// SQLite returns an SQLite database (rpmdb.sqlite): the schema on page 1, an interior page as the root of table Packages on
// page 2, one leaf page for each package, then overflow pages.
func SQLite(packages ...Package) []byte {
	be := binary.BigEndian
	pages := [][]byte{make([]byte, PageSize), make([]byte, PageSize)}
	head := pages[0]
	copy(head, "SQLite format 3\x00")
	be.PutUint16(head[16:], PageSize)
	head[18], head[19], head[21], head[22], head[23] = 1, 1, 64, 32, 32
	schema := record(value("table"), value("Packages"), value("Packages"), []byte{1, 2},
		value("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)"))
	leaf(head, 100, 1, schema, nil)

	for range packages {
		pages = append(pages, make([]byte, PageSize))
	}
	for i, p := range packages {
		blob := p.Header()
		row := record([]byte{0}, append(varint(uint64(12+2*len(blob))), blob...))
		local := localSize(len(row))
		var overflow []byte
		if rest := row[local:]; len(rest) > 0 {
			overflow = be.AppendUint32(nil, uint32(len(pages)+1))
			for len(rest) > 0 {
				page := make([]byte, PageSize)
				n := copy(page[4:], rest)
				if rest = rest[n:]; len(rest) > 0 {
					be.PutUint32(page, uint32(len(pages)+2))
				}
				pages = append(pages, page)
			}
		}
		leafWith(pages[2+i], 0, uint64(i+1), len(row), append(row[:local:local], overflow...))
	}
	interior(pages[1], len(packages))
	var file []byte
	for _, page := range pages {
		file = append(file, page...)
	}
	be.PutUint32(file[28:], uint32(len(pages)))
	return file
}

// interior fills a page whose n children are the pages from 3 on.
func interior(page []byte, n int) {
	be := binary.BigEndian
	page[0] = 0x05
	be.PutUint16(page[3:], uint16(n-1))
	be.PutUint32(page[8:], uint32(2+n))
	at := len(page)
	for i := range n - 1 {
		at -= 5
		be.PutUint32(page[at:], uint32(3+i))
		page[at+4] = byte(i + 1)
		be.PutUint16(page[12+2*i:], uint16(at))
	}
}

func leaf(page []byte, head int, row uint64, payload, overflow []byte) {
	leafWith(page, head, row, len(payload), append(payload, overflow...))
}

// leafWith fills a page with one cell: the length of the record, the row's number, and what of it lies on the page.
func leafWith(page []byte, head int, row uint64, length int, local []byte) {
	cell := append(append(varint(uint64(length)), varint(row)...), local...)
	page[head] = 0x0d
	binary.BigEndian.PutUint16(page[head+3:], 1)
	at := len(page) - len(cell)
	binary.BigEndian.PutUint16(page[head+8:], uint16(at))
	copy(page[at:], cell)
}

// localSize is how much of a record of n bytes lies on its leaf page (fileformat2.html, 1.6).
func localSize(n int) int {
	const most, least = PageSize - 35, (PageSize-12)*32/255 - 23
	if n <= most {
		return n
	}
	if k := least + (n-least)%(PageSize-4); k <= most {
		return k
	}
	return least
}

// value returns a text with its serial type before it.
func value(s string) []byte { return append(varint(uint64(13+2*len(s))), s...) }

// record joins values, each with its serial type before it.
func record(values ...[]byte) []byte {
	var kinds, body []byte
	for _, v := range values {
		_, n := binaryVarint(v)
		kinds = append(kinds, v[:n]...)
		body = append(body, v[n:]...)
	}
	head := varint(uint64(len(kinds) + 1))
	return append(append(head, kinds...), body...)
}

func binaryVarint(b []byte) (uint64, int) {
	var v uint64
	for i, c := range b {
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return v, len(b)
}

// varint returns SQLite's big-endian variable-length integer.
func varint(v uint64) []byte {
	b := []byte{byte(v & 0x7f)}
	for v >>= 7; v > 0; v >>= 7 {
		b = append([]byte{byte(v&0x7f) | 0x80}, b...)
	}
	return b
}
