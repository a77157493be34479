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

	// Metadata is read from the file in chunks: blocks have some 2.5 KB on disk,
	// and one read of 64 KiB costs a network file system no more than one of 4.
	chunkSize      = 64 << 10
	chunkCacheSize = 64
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
	if r.ahead.Load() > 0 {
		r.inflateTogether(off, end)
		if b, ok := r.meta.get(off); ok {
			return b, nil
		}
	}
	return r.inflateMetadata(off, end)
}

// inflateMetadata reads and decompresses a metadata block, and caches it.
func (r *Reader) inflateMetadata(off, end int64) (metaBlock, error) {
	s := r.scratch.Get().(*scratch)
	defer r.scratch.Put(s)
	size, stored, err := r.metadataHeader(off)
	if err != nil {
		return metaBlock{}, err
	}
	if off+metadataHeaderSize+int64(size) > end {
		return metaBlock{}, corrupt("a metadata block at %d claims %d bytes, more than its table has", off, size)
	}
	raw, err := r.chunked(s.input(size), off+metadataHeaderSize)
	if err != nil {
		return metaBlock{}, err
	}
	b := metaBlock{next: off + metadataHeaderSize + int64(size)}
	if stored {
		b.data = append([]byte(nil), raw...)
	} else {
		out := make([]byte, metadataSize) // all but the last of a table are full
		n, err := s.decompress(out, raw)
		if err != nil {
			return metaBlock{}, blockError(err, "metadata block", off)
		}
		b.data = out[:n:n]
	}
	return r.meta.put(off, b), nil
}

// metadataHeader reads how long the metadata block at off is on disk, and
// whether it is stored as it is.
func (r *Reader) metadataHeader(off int64) (size int, stored bool, err error) {
	var b [metadataHeaderSize]byte
	raw, err := r.chunked(b[:], off)
	if err != nil {
		return 0, false, err
	}
	header := binary.LittleEndian.Uint16(raw)
	size = int(header &^ metadataStored)
	if size == 0 || size > metadataSize {
		return 0, false, corrupt("a metadata block at %d claims %d bytes", off, size)
	}
	return size, header&metadataStored != 0, nil
}

// chunked returns len(p) bytes from off, which the caller has checked to lie in
// the image, either in p or in a chunk: they must not be written to.
func (r *Reader) chunked(p []byte, off int64) ([]byte, error) {
	for done := 0; ; {
		at := off + int64(done)
		start := at / chunkSize * chunkSize
		chunk, ok := r.chunks.get(start)
		if !ok {
			chunk = make([]byte, min(chunkSize, r.sb.BytesUsed-start))
			if err := pread(r.src, chunk, start); err != nil {
				return nil, err
			}
			chunk = r.chunks.put(start, chunk)
		}
		from := chunk[at-start:]
		if done == 0 && len(from) >= len(p) {
			return from[:len(p):len(p)], nil
		}
		if done += copy(p[done:], from); done == len(p) {
			return p, nil
		}
	}
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
