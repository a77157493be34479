package squashfs

import "encoding/binary"

// Tables of fixed-size records are stored as metadata blocks, and where those
// blocks lie is listed, uncompressed, at the offset the superblock gives.

// readIndex reads the list, at offset at, of the block offsets of a table of
// count records.
func (r *Reader) readIndex(name string, at, count int64, recordSize int) ([]int64, error) {
	if count == 0 {
		return nil, nil
	}
	perBlock := int64(metadataSize / recordSize)
	blocks := (count + perBlock - 1) / perBlock
	if blocks > (r.sb.BytesUsed-at)/8 {
		return nil, corrupt("the %s table of %d records at %d is larger than the image of %d bytes", name, count, at, r.sb.BytesUsed)
	}
	raw := make([]byte, blocks*8)
	if err := pread(r.src, raw, at); err != nil {
		return nil, err
	}
	index := make([]int64, blocks)
	for i := range index {
		v := binary.LittleEndian.Uint64(raw[i*8:])
		if v < superblockSize || v >= uint64(at) {
			return nil, corrupt("block %d of the %s table lies at %d, not before its index at %d", i, name, v, at)
		}
		index[i] = int64(v)
	}
	return index, nil
}

// record returns record i of a table whose index was read.
func (r *Reader) record(index []int64, i uint32, recordSize int) ([]byte, error) {
	perBlock := uint32(metadataSize / recordSize)
	c, err := r.cursorAt(metaPos{index[i/perBlock], int(i%perBlock) * recordSize}, r.sb.BytesUsed)
	if err != nil {
		return nil, err
	}
	return c.take(recordSize)
}

// readIDs reads the table of user and group ids: at most 65,535 of them.
func (r *Reader) readIDs() error {
	count := int(r.sb.IDCount)
	var err error
	if r.idIndex, err = r.readIndex("id", r.sb.idTable, int64(count), 4); err != nil {
		return err
	}
	r.ids = make([]uint32, 0, count)
	for _, at := range r.idIndex {
		c, err := r.cursorAt(metaPos{at, 0}, r.sb.BytesUsed)
		if err != nil {
			return err
		}
		b, err := c.take(4 * min(count-len(r.ids), metadataSize/4))
		if err != nil {
			return err
		}
		for ; len(b) > 0; b = b[4:] {
			r.ids = append(r.ids, binary.LittleEndian.Uint32(b))
		}
	}
	return nil
}

func (r *Reader) id(i uint16) (uint32, error) {
	if int(i) >= len(r.ids) {
		return 0, corrupt("id %d of %d", i, len(r.ids))
	}
	return r.ids[i], nil
}

const (
	fragmentSize = 16
	noFragment   = 0xffffffff
)

// fragment returns where fragment block i lies.
func (r *Reader) fragment(i uint32) (blockRef, error) {
	if i >= r.sb.FragmentCount {
		return blockRef{}, corrupt("fragment %d of %d", i, r.sb.FragmentCount)
	}
	b, err := r.record(r.frags, i, fragmentSize)
	if err != nil {
		return blockRef{}, err
	}
	return r.blockRef(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:]))
}

// findListingEnd returns where the first metadata block of any other table
// lies behind the start of the directory table.
func (r *Reader) findListingEnd() (int64, error) {
	next := []int64{r.sb.BytesUsed, r.sb.idTable, r.sb.xattrTable, r.sb.fragmentTable, r.sb.exportTable, r.xattrs.start}
	next = append(next, r.idIndex...)
	next = append(next, r.frags...)
	next = append(next, r.xattrs.index...)
	if r.sb.Exportable() {
		// Of the export table only the place matters; 8 bytes for each inode.
		index, err := r.readIndex("export", r.sb.exportTable, 1, 8)
		if err != nil {
			return 0, err
		}
		next = append(next, index...)
	}
	end := r.sb.BytesUsed
	for _, at := range next {
		if at > r.sb.directoryTable {
			end = min(end, at)
		}
	}
	return end, nil
}
