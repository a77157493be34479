package rpmdb

import (
	"encoding/binary"
	"io"
	"strings"
)

// SQLite's file format (sqlite.org/fileformat2.html): numbers are big-endian, pages are counted from 1, a table is a
// B-tree whose leaves hold records.
const (
	sqliteMagic = "SQLite format 3\x00"

	sqliteFileHeader = 100 // before the first page's B-tree
	sqliteInterior   = 0x05
	sqliteLeaf       = 0x0d

	// sqliteMaxDepth: an interior page has at least two children, so forty levels hold more pages than a file can.
	sqliteMaxDepth = 40
)

type sqlite struct {
	pages
	usable int64 // bytes of a page without the reserved ones at its end
}

// readSQLite yields the blobs of rpm's table: Packages(hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL) (rpm,
// lib/backend/sqlite.c). A write-ahead log beside the database is not read; the caller knows whether there is one.
func readSQLite(r io.ReaderAt, size int64, each func([]byte) error) error {
	var head [sqliteFileHeader]byte
	if err := readFull(r, head[:], 0); err != nil {
		return err
	}
	pageSize := int64(binary.BigEndian.Uint16(head[16:]))
	if pageSize == 1 {
		pageSize = 64 << 10
	}
	usable := pageSize - int64(head[20])
	if pageSize < 512 || pageSize&(pageSize-1) != 0 || usable < 480 {
		return damaged("an SQLite page of %d bytes, %d usable", pageSize, usable)
	}
	db := &sqlite{pages: *newPages(r, size, pageSize), usable: usable}

	var root int64
	err := db.walk(1, 0, func(record []byte) error {
		// sqlite_schema(type, name, tbl_name, rootpage, sql)
		columns, ok := sqliteColumns(record, 4)
		if ok && string(columns[0].data) == "table" && strings.EqualFold(string(columns[1].data), "Packages") {
			root = columns[3].integer()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if root == 0 {
		return damaged("it has no table Packages")
	}
	return db.walk(root, 0, func(record []byte) error {
		columns, ok := sqliteColumns(record, 2)
		if !ok || !columns[1].isBlob() {
			return damaged("a row of table Packages holds no header")
		}
		return each(columns[1].data)
	})
}

// walk calls row with every record of the table whose B-tree has its root on page i.
func (db *sqlite) walk(i int64, depth int, row func([]byte) error) error {
	if depth > sqliteMaxDepth {
		return damaged("a table is nested deeper than %d pages", sqliteMaxDepth)
	}
	page := make([]byte, db.size)
	if err := db.read(i-1, page); err != nil {
		return err
	}
	head := int64(0)
	if i == 1 {
		head = sqliteFileHeader
	}
	kind, cells := page[head], int64(binary.BigEndian.Uint16(page[head+3:]))
	pointers := head + 8
	if kind == sqliteInterior {
		pointers += 4
	} else if kind != sqliteLeaf {
		return damaged("page %d is no table page", i)
	}
	if pointers+2*cells > db.usable {
		return damaged("page %d claims %d cells", i, cells)
	}
	for c := range cells {
		at := int64(binary.BigEndian.Uint16(page[pointers+2*c:]))
		if at+4 > db.usable {
			return damaged("cell %d of page %d lies outside it", c, i)
		}
		cell := page[at:db.usable]
		var err error
		if kind == sqliteInterior {
			err = db.walk(int64(binary.BigEndian.Uint32(cell)), depth+1, row)
		} else {
			err = db.row(cell, row)
		}
		if err != nil {
			return err
		}
	}
	if kind == sqliteInterior {
		return db.walk(int64(binary.BigEndian.Uint32(page[head+8:])), depth+1, row)
	}
	return nil
}

// row joins the record of a leaf cell with its overflow pages ("B-tree Cell Format", 1.6).
func (db *sqlite) row(cell []byte, row func([]byte) error) error {
	length, n := sqliteVarint(cell)
	_, m := sqliteVarint(cell[n:]) // the row's number
	if n == 0 || m == 0 {
		return damaged("a row's cell is cut short")
	}
	cell = cell[n+m:]
	if length < 0 || length > maxHeader || length > db.n*db.size {
		return damaged("a row claims %d bytes", length)
	}
	local := length
	if most := db.usable - 35; length > most {
		least := (db.usable-12)*32/255 - 23
		if local = least + (length-least)%(db.usable-4); local > most {
			local = least
		}
	}
	if local > int64(len(cell)) || length > local && local+4 > int64(len(cell)) {
		return damaged("a row's cell lies outside its page")
	}
	if length == local {
		return row(cell[:local])
	}
	record := append(make([]byte, 0, length), cell[:local]...)
	next := int64(binary.BigEndian.Uint32(cell[local:]))
	page := make([]byte, db.size)
	for int64(len(record)) < length {
		if err := db.read(next-1, page); err != nil {
			return err
		}
		record = append(record, page[4:][:min(db.usable-4, length-int64(len(record)))]...)
		next = int64(binary.BigEndian.Uint32(page))
	}
	return row(record)
}

// sqliteColumn is one value of a record with its serial type.
type sqliteColumn struct {
	kind int64
	data []byte
}

func (c sqliteColumn) isBlob() bool { return c.kind >= 12 && c.kind%2 == 0 }

// integer returns the value of a column that holds a non-negative integer, and 0 for everything else.
func (c sqliteColumn) integer() int64 {
	if c.kind == 9 {
		return 1
	}
	if c.kind < 1 || c.kind > 6 || len(c.data) == 0 || c.data[0] >= 0x80 {
		return 0
	}
	var v int64
	for _, b := range c.data {
		v = v<<8 | int64(b)
	}
	return v
}

// sqliteColumns returns the first want values of a record ("Record Format", 2.1).
func sqliteColumns(record []byte, want int) ([]sqliteColumn, bool) {
	headLength, n := sqliteVarint(record)
	if n == 0 || headLength < int64(n) || headLength > int64(len(record)) {
		return nil, false
	}
	kinds, body := record[n:headLength], record[headLength:]
	columns := make([]sqliteColumn, 0, want)
	for len(columns) < want {
		kind, n := sqliteVarint(kinds)
		if n == 0 {
			return nil, false
		}
		kinds = kinds[n:]
		length := sqliteLength(kind)
		if length < 0 || length > int64(len(body)) {
			return nil, false
		}
		columns = append(columns, sqliteColumn{kind: kind, data: body[:length]})
		body = body[length:]
	}
	return columns, true
}

// sqliteLength is the number of bytes of a value of the serial type; -1 for a type that does not exist.
func sqliteLength(kind int64) int64 {
	switch {
	case kind >= 12:
		return (kind - 12) / 2
	case kind >= 0 && kind <= 4:
		return kind
	case kind == 5:
		return 6
	case kind == 6 || kind == 7:
		return 8
	case kind == 8 || kind == 9:
		return 0
	}
	return -1
}

// sqliteVarint returns a variable-length integer of at most nine bytes and its length, 0 when it is cut short.
func sqliteVarint(b []byte) (v int64, n int) {
	for n < len(b) && n < 8 {
		v = v<<7 | int64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			return v, n
		}
	}
	if n < 8 || n >= len(b) {
		return 0, 0
	}
	return v<<8 | int64(b[8]), 9
}
