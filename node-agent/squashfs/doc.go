// Package squashfs reads SquashFS 4.0 images in place and treats every byte of
// them as written by an attacker.
//
// A Reader works on any io.ReaderAt and never maps the file: an image that is
// cut short while it is read gives an error, where a mapping would end the
// process with SIGBUS. All methods are safe for parallel use.
//
// # What is bounded
//
// No allocation follows a number of the image without a check against what is
// really there. Decompressed metadata and data live in two caches of fixed
// size (MetadataCacheBytes, DataCacheBytes); inode and directory tables are
// read block by block and never held as a whole. Walk proves the structure
// while it goes: every directory is reached once, no deeper than MaxDepth, and
// the listings are not longer together than their table.
//
// # What is refused
//
// Names that are empty, ".", "..", or hold a slash or a NUL; entries that are
// not strictly ascending, hence duplicates; blocks that inflate to another size
// than they must; references outside of their table. Names are bytes: that a
// name is not UTF-8 is no defect.
//
// The format is the one of the Linux kernel (fs/squashfs/squashfs_fs.h) and of
// squashfs-tools; gzip, xz, lz4 and zstd are read, lzma and lzo are refused by name.
package squashfs
