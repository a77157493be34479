package squashfs

import (
	"context"
	"encoding/binary"
)

// Sizes is what extracting an image would need.
type Sizes struct {
	Files       int64 // regular files, a file with several names once
	Directories int64
	Symlinks    int64
	Special     int64 // device nodes, FIFOs and sockets
	HardLinks   int64 // further names of what was counted before

	Bytes     int64 // content of the regular files as read, holes included
	Allocated int64 // the same without holes
	Disk      int64 // the same in blocks of 4 KiB, with one block for each directory and symlink
}

// DiskBlock is the block of ext4, XFS and tmpfs: what a file of one byte takes.
const DiskBlock = 4096

// DiskSize returns how much of a disk n bytes take.
func DiskSize(n int64) int64 { return (n + DiskBlock - 1) &^ (DiskBlock - 1) }

// Inodes returns the number of distinct files of all types.
func (s Sizes) Inodes() int64 { return s.Files + s.Directories + s.Symlinks + s.Special }

// Measure walks the image, which proves its structure, and adds up the sizes
// exactly: it reads every file's list of blocks, and no content.
func (r *Reader) Measure(ctx context.Context) (Sizes, error) {
	var s Sizes
	inodes := span{r.sb.inodeTable, r.sb.directoryTable}
	blocks, err := r.countMetadata(inodes)
	if err != nil {
		return s, err
	}
	stop, err := r.inflateAhead(inodes, span{r.sb.directoryTable, r.listingEnd})
	if err != nil {
		return s, err
	}
	defer stop()
	// Lists of blocks lie in the inode table. When they are longer together
	// than the table, files share them.
	budget := blocks * metadataSize / 4
	err = r.Walk(ctx, func(v *Visit) error {
		switch {
		case v.Again:
			s.HardLinks++
		case v.Inode.Type == Regular:
			s.Files++
			holes, err := r.holes(ctx, v.Inode, &budget)
			s.Bytes += v.Inode.Size
			s.Allocated += v.Inode.Size - holes
			s.Disk += DiskSize(v.Inode.Size - holes)
			if err == nil && (s.Bytes < 0 || s.Disk < 0) {
				err = corrupt("the files are larger together than 8 EiB")
			}
			return err
		case v.Inode.Type == Directory:
			s.Directories++
			s.Disk += DiskBlock
		case v.Inode.Type == Symlink:
			s.Symlinks++
			s.Disk += DiskBlock
		default:
			s.Special++
		}
		return nil
	})
	return s, err
}

// holes returns how many bytes of a file are not stored.
func (r *Reader) holes(ctx context.Context, i *Inode, budget *int64) (int64, error) {
	bs := int64(r.sb.BlockSize)
	blocks := i.Size / bs
	if i.frag == noFragment && i.Size%bs != 0 {
		blocks++
	}
	if blocks == 0 {
		return 0, nil
	}
	if *budget -= blocks; *budget < 0 {
		return 0, corrupt("file inode %d has more blocks than the inode table can list", i.Number)
	}
	c, err := r.cursorAt(i.tail, r.sb.directoryTable)
	if err != nil {
		return 0, err
	}
	holes := int64(0)
	for n := int64(0); n < blocks; n += windowBlocks {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		raw, err := c.take(4 * int(min(windowBlocks, blocks-n)))
		if err != nil {
			return 0, err
		}
		for k := n; len(raw) > 0; k, raw = k+1, raw[4:] {
			if binary.LittleEndian.Uint32(raw)&^blockStored == 0 {
				holes += min(bs, i.Size-k*bs)
			}
		}
	}
	return holes, nil
}
