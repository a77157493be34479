package squashfs

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Magic is how a little-endian SquashFS image begins.
const Magic = "hsqs"

const (
	superblockSize = 96
	noTable        = ^uint64(0)

	minBlockSize = 4 << 10
	maxBlockSize = 1 << 20

	// MaxInodes bounds the bitmap of visited inodes to 12.5 MB. The largest
	// images seen hold a few million files.
	MaxInodes = 100_000_000
)

// Compression is the compressor id of the superblock.
type Compression uint16

// Compressor ids of squashfs_fs.h.
const (
	Gzip Compression = 1
	LZMA Compression = 2
	LZO  Compression = 3
	XZ   Compression = 4
	LZ4  Compression = 5
	Zstd Compression = 6
)

func (c Compression) String() string {
	names := [...]string{Gzip: "gzip", LZMA: "lzma", LZO: "lzo", XZ: "xz", LZ4: "lz4", Zstd: "zstd"}
	if int(c) < len(names) && names[c] != "" {
		return names[c]
	}
	return fmt.Sprintf("compressor %d", uint16(c))
}

// Superblock describes an image. Nothing but the sizes of the file and of the
// tables has been compared with reality: InodeCount is what the image claims.
type Superblock struct {
	InodeCount    uint32
	FragmentCount uint32
	BlockSize     uint32 // bytes, a power of two from 4 KiB to 1 MiB
	Compression   Compression
	Flags         uint16
	IDCount       uint16
	MakeTime      time.Time
	BytesUsed     int64 // bytes of the image without the padding after it

	rootInode      uint64
	idTable        int64
	xattrTable     int64 // -1: none
	inodeTable     int64
	directoryTable int64
	fragmentTable  int64 // -1: none
	exportTable    int64 // -1: none
}

// Exportable tells whether the image carries an NFS export table.
func (s *Superblock) Exportable() bool { return s.exportTable >= 0 }

// parseSuperblock decodes b and checks what can be checked without reading more.
// size is the number of bytes that are really there.
func parseSuperblock(b []byte, size int64) (Superblock, error) {
	le := binary.LittleEndian
	switch string(b[:4]) {
	case Magic:
	case "sqsh":
		return Superblock{}, unsupported("big-endian SquashFS (older than 4.0): rebuild it with a current mksquashfs")
	default:
		return Superblock{}, corrupt("no SquashFS magic: starts with %q", b[:4])
	}
	if major, minor := le.Uint16(b[28:]), le.Uint16(b[30:]); major != 4 || minor != 0 {
		return Superblock{}, unsupported("SquashFS version %d.%d, only 4.0 is read: rebuild it with a current mksquashfs", major, minor)
	}
	s := Superblock{
		InodeCount:    le.Uint32(b[4:]),
		MakeTime:      time.Unix(int64(le.Uint32(b[8:])), 0).UTC(),
		BlockSize:     le.Uint32(b[12:]),
		FragmentCount: le.Uint32(b[16:]),
		Compression:   Compression(le.Uint16(b[20:])),
		Flags:         le.Uint16(b[24:]),
		IDCount:       le.Uint16(b[26:]),
		rootInode:     le.Uint64(b[32:]),
	}
	if s.BlockSize < minBlockSize || s.BlockSize > maxBlockSize || s.BlockSize != 1<<min(le.Uint16(b[22:]), 31) {
		return Superblock{}, corrupt("block size %d with logarithm %d is not a power of two from 4 KiB to 1 MiB", s.BlockSize, le.Uint16(b[22:]))
	}
	if s.InodeCount == 0 {
		return Superblock{}, corrupt("no inodes, not even a root directory")
	}
	if s.InodeCount > MaxInodes {
		return Superblock{}, unsupported("%d inodes claimed, more than %d", s.InodeCount, MaxInodes)
	}
	used := le.Uint64(b[40:])
	if used < superblockSize || used > uint64(size) {
		return Superblock{}, corrupt("the image says it is %d bytes long but %d are there: an incomplete copy or download", used, size)
	}
	s.BytesUsed = int64(used)
	return s, s.parseTables(b)
}

// parseTables checks that every table starts inside the image and that the two
// tables that are read without an index lie in the order the kernel demands.
func (s *Superblock) parseTables(b []byte) error {
	le := binary.LittleEndian
	for _, t := range []struct {
		name     string
		at       int
		dst      *int64
		optional bool
	}{
		{"id", 48, &s.idTable, false},
		{"xattr", 56, &s.xattrTable, true},
		{"inode", 64, &s.inodeTable, false},
		{"directory", 72, &s.directoryTable, false},
		{"fragment", 80, &s.fragmentTable, true},
		{"export", 88, &s.exportTable, true},
	} {
		v := le.Uint64(b[t.at:])
		switch {
		case v == noTable && t.optional:
			*t.dst = -1
		case v < superblockSize || v >= uint64(s.BytesUsed):
			return corrupt("the %s table starts at %d, outside of the image's %d bytes", t.name, v, s.BytesUsed)
		default:
			*t.dst = int64(v)
		}
	}
	if s.inodeTable >= s.directoryTable {
		return corrupt("the inode table at %d does not lie before the directory table at %d", s.inodeTable, s.directoryTable)
	}
	if s.IDCount == 0 {
		return corrupt("no user and group ids")
	}
	if s.FragmentCount > 0 && s.fragmentTable < 0 {
		return corrupt("%d fragments but no fragment table", s.FragmentCount)
	}
	return nil
}
