// Package rpmdb lists the packages of an RPM database in place, through io.ReaderAt, in all three formats rpm has used:
// Berkeley DB hash (up to RHEL 8), ndb (SUSE) and SQLite (RHEL 9, Fedora).
//
// It is our own because what exists cannot be pointed at a hostile file from inside a long-lived process. go-rpmdb opens a
// path only (osv-scalibr copies the database to /tmp for it, which a pod with a read-only root has not), parses in a
// goroutine of its own, where an index out of range in a made-up page ends the whole process, follows a cyclic chain of
// overflow pages until its five-minute timeout, appending all the while, and allocates up to 4 GiB on a length it has just
// read. Its SQLite driver is a translation of all of SQLite, 8 MB of the binary, for one SELECT over one table.
//
// Here every number from the file is compared with the file before it is used, a page is read once, and nothing larger
// than one package header is held.
package rpmdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxHeader bounds one package's header. rpm itself refuses more than 256 MiB (headerMaxbytes, lib/header.c); the largest
// one seen, a package with 120,000 files, has 14 MiB.
const maxHeader = 64 << 20

// ErrFormat is wrapped by every error that says the database is not one, or is damaged.
var ErrFormat = errors.New("not a readable RPM database")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// Read calls yield with the header of every installed package of the database of size bytes at r, in the order they are
// stored in. The header is valid until yield returns. An error of yield ends the reading and is returned. Packages read
// before the damage of a damaged database have been yielded when the error comes.
func Read(ctx context.Context, r io.ReaderAt, size int64, yield func(Header) error) error {
	var magic [16]byte
	if _, err := r.ReadAt(magic[:], 0); err != nil {
		return readError(err, 0)
	}
	each := func(blob []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := parseHeader(blob)
		if err != nil {
			return err
		}
		return yield(h)
	}
	switch {
	case bytes.Equal(magic[:], []byte(sqliteMagic)):
		return readSQLite(r, size, each)
	case bytes.Equal(magic[:4], []byte(ndbMagic)):
		return readNDB(r, size, each)
	case binary.LittleEndian.Uint32(magic[12:]) == bdbHashMagic:
		return readBDB(r, size, binary.LittleEndian, each)
	case binary.BigEndian.Uint32(magic[12:]) == bdbHashMagic:
		return readBDB(r, size, binary.BigEndian, each)
	}
	return damaged("it is neither Berkeley DB, ndb nor SQLite")
}

// pages reads fixed-size pages, each at most once: a chain that bites its tail, or a thousand records that share one chain,
// would otherwise cost time and memory without bound.
type pages struct {
	r    io.ReaderAt
	size int64 // of a page
	n    int64 // number of whole pages in the file
	seen []uint64
}

func newPages(r io.ReaderAt, fileSize, pageSize int64) *pages {
	n := fileSize / pageSize
	return &pages{r: r, size: pageSize, n: n, seen: make([]uint64, n/64+1)}
}

// read fills buf, which is one page long, with page i, counted from 0.
func (p *pages) read(i int64, buf []byte) error {
	if i < 0 || i >= p.n {
		return damaged("page %d of %d does not exist", i, p.n)
	}
	if p.seen[i/64]&(1<<(i%64)) != 0 {
		return damaged("page %d is used twice", i)
	}
	p.seen[i/64] |= 1 << (i % 64)
	return readFull(p.r, buf, i*p.size)
}

func readFull(r io.ReaderAt, buf []byte, off int64) error {
	if n, err := r.ReadAt(buf, off); n < len(buf) {
		return readError(err, off)
	}
	return nil
}

func readError(err error, off int64) error {
	if errors.Is(err, io.EOF) {
		return damaged("it ends in what is read at offset %d", off)
	}
	return fmt.Errorf("read at offset %d: %w", off, err)
}
