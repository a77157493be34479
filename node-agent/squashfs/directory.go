package squashfs

import (
	"bytes"
	"encoding/binary"
	"io"
)

const (
	listingHeaderSize = 12
	listingEntrySize  = 8
	maxGroup          = 256
	maxName           = 256
)

// Entry is a name in a directory.
type Entry struct {
	Name   string
	Type   Type
	Number uint32 // the inode number
	Ref    Ref
}

// Dir reads the listing of a directory in its order, which is that of the names' bytes.
type Dir struct {
	c     cursor
	inode uint32 // the directory's number, for messages
	listingState
	nameBuf [maxName]byte
	name    []byte // of the entry that was read last
}

// listingState is what is needed, beside the place, to go on reading a listing.
type listingState struct {
	left  int64 // bytes
	group int   // entries left below the last header
	block uint32
	base  uint32 // to which entries give their inode number as a difference
}

// rawEntry is an entry whose name has not been copied.
type rawEntry struct {
	typ    Type
	number uint32
	ref    Ref
}

// ReadDir starts to read the listing of a directory.
func (r *Reader) ReadDir(dir *Inode) (*Dir, error) {
	d := &Dir{inode: dir.Number}
	return d, r.startListing(d, dir)
}

func (r *Reader) startListing(d *Dir, dir *Inode) (err error) {
	if dir.Type != Directory {
		return corrupt("inode %d is read as a directory but is none", dir.Number)
	}
	d.listingState = listingState{left: dir.listing}
	if dir.listing > 0 {
		d.c, err = r.cursorAt(metaPos{dir.start, int(dir.offset)}, r.listingEnd)
	}
	return err
}

// Next returns the next entry, or io.EOF behind the last one.
func (d *Dir) Next() (Entry, error) {
	e, err := d.next()
	if err != nil {
		return Entry{}, err
	}
	return Entry{Name: string(d.name), Type: e.typ, Number: e.number, Ref: e.ref}, nil
}

// next reads an entry; its name is in d.name until the call after.
func (d *Dir) next() (rawEntry, error) {
	if d.group == 0 {
		if d.left == 0 {
			return rawEntry{}, io.EOF
		}
		if err := d.header(); err != nil {
			return rawEntry{}, err
		}
	}
	b, err := d.take(listingEntrySize)
	if err != nil {
		return rawEntry{}, err
	}
	le := binary.LittleEndian
	e := rawEntry{
		ref:    Ref(d.block)<<16 | Ref(le.Uint16(b)),
		number: d.base + uint32(int32(int16(le.Uint16(b[2:])))),
		typ:    Type(le.Uint16(b[4:])),
	}
	if t := le.Uint16(b[4:]); t == 0 || t > uint16(Socket) {
		return rawEntry{}, corrupt("directory inode %d lists an entry of unknown type %d", d.inode, t)
	}
	size := int(le.Uint16(b[6:])) + 1
	if size > maxName {
		return rawEntry{}, corrupt("directory inode %d lists a name of %d bytes", d.inode, size)
	}
	name, err := d.take(size)
	if err != nil {
		return rawEntry{}, err
	}
	d.group--
	return e, d.setName(name)
}

func (d *Dir) header() error {
	b, err := d.take(listingHeaderSize)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	count := le.Uint32(b)
	if count >= maxGroup {
		return corrupt("directory inode %d has a group of more than %d entries", d.inode, maxGroup)
	}
	d.group, d.block, d.base = int(count)+1, le.Uint32(b[4:]), le.Uint32(b[8:])
	return nil
}

func (d *Dir) take(n int) ([]byte, error) {
	if d.left < int64(n) {
		return nil, corrupt("the listing of directory inode %d ends within an entry", d.inode)
	}
	d.left -= int64(n)
	return d.c.take(n)
}

// setName refuses what no directory can hold, and duplicates: the kernel and
// mksquashfs keep listings in the order of the bytes.
func (d *Dir) setName(name []byte) error {
	switch {
	case string(name) == "." || string(name) == "..":
		return corrupt("directory inode %d lists the name %q", d.inode, name)
	case bytes.IndexByte(name, '/') >= 0 || bytes.IndexByte(name, 0) >= 0:
		return corrupt("directory inode %d lists the name %q, which holds a slash or a NUL", d.inode, name)
	}
	switch c := bytes.Compare(name, d.name); {
	case c == 0:
		return corrupt("directory inode %d lists the name %q twice", d.inode, name)
	case c < 0:
		return corrupt("directory inode %d lists %q behind %q: not in order", d.inode, name, d.name)
	}
	d.name = append(d.nameBuf[:0], name...)
	return nil
}

// EntryInode reads the inode of an entry and checks that it is the one named.
func (r *Reader) EntryInode(e Entry) (*Inode, error) {
	i := new(Inode)
	_, err := r.entryInode(rawEntry{typ: e.Type, number: e.Number, ref: e.Ref}, i)
	return i, err
}

func (r *Reader) entryInode(e rawEntry, i *Inode) (cursor, error) {
	c, err := r.readInode(e.ref, i)
	if err == nil && (i.Number != e.number || i.Type != e.typ) {
		err = corrupt("an entry for inode %d of type %d refers to inode %d of type %d", e.number, e.typ, i.Number, i.Type)
	}
	return c, err
}
