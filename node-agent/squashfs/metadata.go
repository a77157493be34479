package squashfs

import (
	"encoding/binary"
	"fmt"
)

const (
	metadataSize       = 8192
	metadataHeaderSize = 2
	metadataStored     = 0x8000 // bit of the header: not compressed

	// MetadataCacheBytes bounds the decompressed inode, directory, fragment and
	// xattr tables that are kept: enough for the whole tables of an image with
	// about 150,000 files, so that walking it inflates nothing twice.
	MetadataCacheBytes = 16 << 20
)

// metaBlock is a decompressed metadata block; it never changes.
type metaBlock struct {
	data []byte
	next int64 // offset of the block after it
}

// metadata returns the metadata block at off, which must end at or before end.
func (r *Reader) metadata(off, end int64) (metaBlock, error) {
	if off < superblockSize || off+metadataHeaderSize > end {
		return metaBlock{}, corrupt("a metadata block at %d lies outside of its table, which ends at %d", off, end)
	}
	if b, ok := r.meta.get(off); ok {
		return b, nil
	}
	s := r.scratch.Get().(*scratch)
	defer r.scratch.Put(s)
	// The header's size is not known yet; one read of the longest block is
	// cheaper than two.
	raw := s.input(int(min(metadataHeaderSize+metadataSize, end-off)))
	if err := pread(r.src, raw, off); err != nil {
		return metaBlock{}, err
	}
	header := binary.LittleEndian.Uint16(raw)
	size := int(header &^ metadataStored)
	if size == 0 || size > metadataSize || metadataHeaderSize+size > len(raw) {
		return metaBlock{}, corrupt("a metadata block at %d claims %d bytes", off, size)
	}
	raw = raw[metadataHeaderSize : metadataHeaderSize+size]
	b := metaBlock{next: off + metadataHeaderSize + int64(size)}
	if header&metadataStored != 0 {
		b.data = append([]byte(nil), raw...)
	} else {
		var out [metadataSize]byte
		n, err := s.dec.decompress(out[:], raw)
		if err != nil {
			return metaBlock{}, blockError(err, "metadata block", off)
		}
		b.data = append([]byte(nil), out[:n]...)
	}
	return r.meta.put(off, b), nil
}

// blockError says where a decompressor failed; Unsupported stays what it is.
func blockError(err error, what string, off int64) error {
	if e, ok := err.(*Error); ok {
		return e
	}
	return corrupt("%s at offset %d: %v", what, off, err)
}

// metaPos is a place inside of a table of metadata blocks.
type metaPos struct {
	block  int64 // absolute offset of the compressed block
	offset int   // in the decompressed block
}

// cursor reads a table of metadata blocks in sequence.
type cursor struct {
	r     *Reader
	end   int64 // absolute offset behind the table
	block int64
	next  int64
	data  []byte
	off   int
}

func (r *Reader) cursorAt(p metaPos, end int64) (cursor, error) {
	b, err := r.metadata(p.block, end)
	if err != nil {
		return cursor{}, err
	}
	if p.offset > len(b.data) {
		return cursor{}, corrupt("reference to byte %d of a metadata block at %d that holds %d", p.offset, p.block, len(b.data))
	}
	return cursor{r: r, end: end, block: p.block, next: b.next, data: b.data, off: p.offset}, nil
}

func (c *cursor) pos() metaPos { return metaPos{c.block, c.off} }

// take returns the next n bytes; they are valid as long as the caller likes and
// must not be written to. n is bounded by the callers, never by the image.
func (c *cursor) take(n int) ([]byte, error) {
	if c.off+n <= len(c.data) {
		b := c.data[c.off : c.off+n : c.off+n]
		c.off += n
		return b, nil
	}
	out := make([]byte, 0, n)
	for {
		m := min(n-len(out), len(c.data)-c.off)
		out = append(out, c.data[c.off:c.off+m]...)
		c.off += m
		if len(out) == n {
			return out, nil
		}
		if err := c.advance(); err != nil {
			return nil, err
		}
	}
}

// skip moves n bytes forward.
func (c *cursor) skip(n int64) error {
	for n > int64(len(c.data)-c.off) {
		n -= int64(len(c.data) - c.off)
		if err := c.advance(); err != nil {
			return err
		}
	}
	c.off += int(n)
	return nil
}

func (c *cursor) advance() error {
	b, err := c.r.metadata(c.next, c.end)
	if err != nil {
		return fmt.Errorf("behind a metadata block at %d: %w", c.block, err)
	}
	c.block, c.next, c.data, c.off = c.next, b.next, b.data, 0
	return nil
}

// countMetadata counts the metadata blocks of a table by their headers alone.
func (r *Reader) countMetadata(start, end int64) (int64, error) {
	buf := make([]byte, min(end-start, 64<<10))
	at, have := start, 0 // buf[:have] holds the file from at on
	count := int64(0)
	for off := start; off < end; count++ {
		if off+metadataHeaderSize > end {
			return 0, corrupt("a metadata block at %d is cut off by the end of its table at %d", off, end)
		}
		if off+metadataHeaderSize > at+int64(have) {
			at, have = off, int(min(int64(len(buf)), end-off))
			if err := pread(r.src, buf[:have], at); err != nil {
				return 0, err
			}
		}
		size := int64(binary.LittleEndian.Uint16(buf[off-at:]) &^ metadataStored)
		if size == 0 || size > metadataSize {
			return 0, corrupt("a metadata block at %d claims %d bytes", off, size)
		}
		off += metadataHeaderSize + size
	}
	return count, nil
}
