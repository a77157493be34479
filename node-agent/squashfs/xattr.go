package squashfs

import (
	"encoding/binary"
)

const (
	xattrRecordSize = 16
	xattrHeaderSize = 16
	xattrOutOfLine  = 0x100
	// The kernel's own limits (include/uapi/linux/limits.h).
	maxXattrName  = 255
	maxXattrValue = 64 << 10
	maxXattrTotal = 64 << 10 // the names of one file
)

var xattrPrefixes = [...]string{"user.", "trusted.", "security."}

// xattrTable says where the extended attributes lie.
type xattrTable struct {
	start int64 // of the metadata blocks with names and values
	end   int64
	count uint32
	index []int64
}

// Xattr is an extended attribute with its full name ("user.x").
type Xattr struct {
	Name  string
	Value []byte
}

func (r *Reader) readXattrTable() (xattrTable, error) {
	at := r.sb.xattrTable
	if at < 0 {
		return xattrTable{}, nil
	}
	if at+xattrHeaderSize > r.sb.BytesUsed {
		return xattrTable{}, corrupt("the xattr table at %d is cut off by the image's end", at)
	}
	b := make([]byte, xattrHeaderSize)
	if err := pread(r.src, b, at); err != nil {
		return xattrTable{}, err
	}
	t := xattrTable{count: binary.LittleEndian.Uint32(b[8:])}
	start := binary.LittleEndian.Uint64(b)
	if start < superblockSize || start > uint64(at) {
		return t, corrupt("the xattrs start at %d, not before their table at %d", start, at)
	}
	var err error
	t.index, err = r.readIndex("xattr", at+xattrHeaderSize, int64(t.count), xattrRecordSize)
	t.start, t.end = int64(start), at
	for _, record := range t.index {
		if record > t.start {
			t.end = min(t.end, record)
		}
	}
	return t, err
}

// HasXattrs tells whether Xattrs would find any, without reading them. It does
// not know of those of symlinks.
func (i *Inode) HasXattrs() bool { return i.xattr != noXattrs }

// Xattrs returns the extended attributes of an inode. Images whose superblock
// has no xattr table have none. At most 64 KiB of names and 64 KiB per value
// are read, as much as Linux lets a file have.
func (r *Reader) Xattrs(i *Inode) ([]Xattr, error) {
	id, err := r.xattrID(i)
	if err != nil || id == noXattrs || r.sb.xattrTable < 0 {
		return nil, err
	}
	if id >= r.xattrs.count {
		return nil, corrupt("inode %d refers to xattrs %d of %d", i.Number, id, r.xattrs.count)
	}
	b, err := r.record(r.xattrs.index, id, xattrRecordSize)
	if err != nil {
		return nil, err
	}
	c, err := r.xattrCursor(binary.LittleEndian.Uint64(b))
	if err != nil {
		return nil, err
	}
	count := binary.LittleEndian.Uint32(b[8:])
	var list []Xattr
	names, values := 0, 0
	for range count {
		x, err := r.readXattr(&c)
		if err != nil {
			return nil, err
		}
		names += len(x.Name)
		values += len(x.Value)
		if names > maxXattrTotal || values > 16*maxXattrValue {
			return nil, corrupt("inode %d has more xattrs than a file can have", i.Number)
		}
		list = append(list, x)
	}
	return list, nil
}

// xattrID returns the index into the xattr table. A symlink's stands behind its target.
func (r *Reader) xattrID(i *Inode) (uint32, error) {
	if i.Type != Symlink || !i.extended {
		return i.xattr, nil
	}
	c, err := r.cursorAt(i.tail, r.sb.directoryTable)
	if err != nil {
		return 0, err
	}
	if err := c.skip(i.Size); err != nil {
		return 0, err
	}
	b, err := c.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (r *Reader) xattrCursor(ref uint64) (cursor, error) {
	block := ref >> 16
	if block >= uint64(r.sb.xattrTable) {
		return cursor{}, corrupt("xattr reference %#x points outside of the xattrs", ref)
	}
	return r.cursorAt(metaPos{r.xattrs.start + int64(block), int(ref & 0xffff)}, r.xattrs.end)
}

func (r *Reader) readXattr(c *cursor) (Xattr, error) {
	le := binary.LittleEndian
	b, err := c.take(4)
	if err != nil {
		return Xattr{}, err
	}
	kind, size := le.Uint16(b), int(le.Uint16(b[2:]))
	prefix := kind &^ xattrOutOfLine
	if int(prefix) >= len(xattrPrefixes) || size > maxXattrName {
		return Xattr{}, corrupt("an xattr of kind %#x has a name of %d bytes", kind, size)
	}
	name, err := c.take(size)
	if err != nil {
		return Xattr{}, err
	}
	x := Xattr{Name: xattrPrefixes[prefix] + string(name)}
	b, err = c.take(4)
	if err != nil {
		return Xattr{}, err
	}
	length := le.Uint32(b)
	if kind&xattrOutOfLine == 0 {
		x.Value, err = takeValue(c, length)
		return x, err
	}
	if length != 8 {
		return x, corrupt("xattr %q refers to its value with %d bytes", x.Name, length)
	}
	if b, err = c.take(8); err != nil {
		return x, err
	}
	far, err := r.xattrCursor(le.Uint64(b))
	if err != nil {
		return x, err
	}
	if b, err = far.take(4); err != nil {
		return x, err
	}
	x.Value, err = takeValue(&far, le.Uint32(b))
	return x, err
}

func takeValue(c *cursor, n uint32) ([]byte, error) {
	if n > maxXattrValue {
		return nil, corrupt("an xattr value of %d bytes", n)
	}
	b, err := c.take(int(n))
	return append([]byte(nil), b...), err
}
