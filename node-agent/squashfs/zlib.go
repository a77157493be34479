package squashfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"
)

var (
	errZlibHeader   = errors.New("not a zlib stream")
	errZlibChecksum = errors.New("its checksum is wrong")
)

// gzipBlock reads zlib streams (RFC 1950); "gzip" is only what squashfs calls them.
type gzipBlock struct {
	src bytes.Reader
	z   io.Reader
}

func (g *gzipBlock) decompress(dst, src []byte) (int, error) {
	const (
		header  = 2
		deflate = 8    // method, in the low bits of the first byte; the window's size is in the high bits
		preset  = 0x20 // dictionary, in the second byte
	)
	if len(src) < header || binary.BigEndian.Uint16(src)%31 != 0 || src[0]&0x0f != deflate || src[0]>>4 > 7 || src[1]&preset != 0 {
		return 0, errZlibHeader
	}
	g.src.Reset(src[header:])
	if g.z == nil {
		g.z = flate.NewReader(&g.src)
	} else if err := g.z.(flate.Resetter).Reset(&g.src, nil); err != nil {
		return 0, err
	}
	n, err := readAllInto(dst, g.z)
	if err != nil {
		return 0, err
	}
	var sum [4]byte
	if _, err := io.ReadFull(&g.src, sum[:]); err != nil {
		return 0, io.ErrUnexpectedEOF
	}
	if binary.BigEndian.Uint32(sum[:]) != adler32Of(dst[:n]) {
		return 0, errZlibChecksum
	}
	return n, nil
}
