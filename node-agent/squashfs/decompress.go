package squashfs

import (
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// errTooLong: a block holds more than fits where it belongs.
var errTooLong = errors.New("inflates beyond its size")

// A decompressor inflates src into dst and returns the number of bytes. It
// never writes, and never allocates, more than len(dst). Not for parallel use.
type decompressor interface {
	decompress(dst, src []byte) (int, error)
}

func newDecompressor(c Compression) (func() decompressor, error) {
	switch c {
	case Gzip:
		return func() decompressor { return new(gzipBlock) }, nil
	case Zstd:
		return newZstdBlock, nil
	case XZ:
		return func() decompressor { return new(xzBlock) }, nil
	case LZ4:
		return func() decompressor { return lz4Block{} }, nil
	case LZMA, LZO:
		return nil, unsupported("%s compression is not read: rebuild the image with gzip, zstd, xz or lz4", c)
	}
	return nil, corrupt("unknown %s", c)
}

// readAllInto reads r to its end and fails when that is not reached within dst.
func readAllInto(dst []byte, r io.Reader) (int, error) {
	n := 0
	for {
		p := dst[n:]
		var probe [1]byte
		if len(p) == 0 {
			p = probe[:]
		}
		m, err := r.Read(p)
		if n+m > len(dst) {
			return 0, errTooLong
		}
		n += m
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

type zstdBlock struct{ d *zstd.Decoder }

func newZstdBlock() decompressor {
	// Without DecodeAllCapLimit the output would be allocated from the size that
	// the frame header claims. No window of a block is longer than a block.
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		panic("squashfs: zstd options are constants: " + err.Error())
	}
	return &zstdBlock{d}
}

func (z *zstdBlock) decompress(dst, src []byte) (int, error) {
	out, err := z.d.DecodeAll(src, dst[:0:len(dst)])
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return 0, errTooLong
	}
	if err == nil && len(out) > len(dst) {
		return 0, errTooLong
	}
	return len(out), err
}

type lz4Block struct{}

func (lz4Block) decompress(dst, src []byte) (int, error) {
	n, err := lz4.UncompressBlock(src, dst)
	if err != nil {
		// The library has one error for "source is malformed" and "destination too short".
		return 0, errors.New("malformed lz4 block, or one that inflates beyond its size")
	}
	return n, nil
}
