package squashfs

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// Reader reads one image. It holds no descriptor of its own: closing the
// io.ReaderAt is its owner's business, after the last call.
type Reader struct {
	src     io.ReaderAt
	sb      Superblock
	ids     []uint32
	idIndex []int64 // where the metadata blocks of the table of ids lie
	frags   []int64 // where the metadata blocks of the fragment table lie
	xattrs  xattrTable

	// listingEnd is where the directory table ends: the superblock does not say,
	// but the table that follows does.
	listingEnd int64

	meta    *clock[int64, metaBlock]
	chunks  *clock[int64, []byte] // of the file, by their offset
	indexes *clock[string, *Index]
	data    *blockCache
	scratch sync.Pool    // of *scratch
	ahead   atomic.Int32 // walks that inflateAhead serves
}

// scratch is what one decompression needs.
type scratch struct {
	newDec func() decompressor
	dec    decompressor
	in     []byte
}

func (s *scratch) input(n int) []byte {
	if cap(s.in) < n {
		s.in = make([]byte, n)
	}
	return s.in[:n]
}

// decompress inflates src into dst. The libraries were written by others, and
// the input by an attacker: where one panics, the block is corrupt, and the
// decompressor, in whatever state it is, not used again.
func (s *scratch) decompress(dst, src []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, fmt.Errorf("the decoder gave up: %v", p)
			s.dec = s.newDec()
		}
	}()
	return s.dec.decompress(dst, src)
}

// New opens the image that begins at offset 0 of src and of which size bytes
// are there. It reads the superblock, the ids and where the fragment and xattr
// tables lie: some four reads. Errors that are about the image are *Error.
func New(src io.ReaderAt, size int64) (*Reader, error) {
	if size < superblockSize {
		return nil, corrupt("only %d bytes are there, a superblock alone has %d: an incomplete copy or download", max(size, 0), superblockSize)
	}
	b := make([]byte, superblockSize)
	if err := pread(src, b, 0); err != nil {
		return nil, err
	}
	sb, err := parseSuperblock(b, size)
	if err != nil {
		return nil, err
	}
	newDec, err := newDecompressor(sb.Compression)
	if err != nil {
		return nil, err
	}
	r := &Reader{
		src:     src,
		sb:      sb,
		meta:    newClock[int64, metaBlock](MetadataCacheBytes / metadataSize),
		chunks:  newClock[int64, []byte](chunkCacheSize),
		indexes: newClock[string, *Index](indexCacheSize),
		data:    newBlockCache(int(sb.BlockSize)),
	}
	r.scratch.New = func() any { return &scratch{newDec: newDec, dec: newDec()} }
	if err = r.readIDs(); err != nil {
		return nil, err
	}
	if r.frags, err = r.readIndex("fragment", sb.fragmentTable, int64(sb.FragmentCount), fragmentSize); err != nil {
		return nil, err
	}
	if r.xattrs, err = r.readXattrTable(); err != nil {
		return nil, err
	}
	if r.listingEnd, err = r.findListingEnd(); err != nil {
		return nil, err
	}
	return r, nil
}

// Superblock returns what the image says about itself.
func (r *Reader) Superblock() Superblock { return r.sb }
