package squashfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"

	"github.com/ulikunitz/xz/lzma"
)

// xzBlock reads one .xz stream of one block, as mksquashfs writes it. The
// container is parsed here, and only the LZMA2 data given to the library: its
// own container reader allocates the dictionary that the header asks for, up to
// 4 GiB, and knows no branch filter. Nothing larger than the output is ever
// needed, since no match reaches back further than the output is long.
//
// Source: the .xz file format specification 1.0.4.
type xzBlock struct{ src bytes.Reader }

const (
	xzMagic        = "\xfd7zXZ\x00"
	xzHeaderLen    = 12
	xzFilterLZMA2  = 0x21
	xzCheckCRC32   = 0x01
	xzCheckCRC64   = 0x04
	xzCheckSHA256  = 0x0a
	xzMinimumDict  = lzma.MinDictCap
	xzMaxBCJFilter = 0x0b
)

var errXZ = errors.New("malformed xz stream")

func (x *xzBlock) decompress(dst, src []byte) (int, error) {
	if len(src) < xzHeaderLen+4 || string(src[:6]) != xzMagic ||
		crc32.ChecksumIEEE(src[6:8]) != binary.LittleEndian.Uint32(src[8:]) {
		return 0, errXZ
	}
	check := src[7] & 0x0f
	header := src[xzHeaderLen:]
	headerLen := (int(header[0]) + 1) * 4
	if header[0] == 0 || headerLen+4 > len(header) {
		return 0, errXZ
	}
	unfilter, err := parseXZBlockHeader(header[:headerLen])
	if err != nil {
		return 0, err
	}
	x.src.Reset(header[headerLen:])
	r, err := lzma.Reader2Config{DictCap: max(len(dst), xzMinimumDict)}.NewReader2(&x.src)
	if err != nil {
		return 0, err
	}
	n, err := readAllInto(dst, r)
	if err != nil {
		return 0, err
	}
	if unfilter != nil {
		unfilter(dst[:n])
	}
	// The check follows the data, padded to four bytes from the block's header on.
	end := (len(header) - x.src.Len() + 3) &^ 3
	return n, verifyXZCheck(check, dst[:n], header[min(end, len(header)):])
}

// parseXZBlockHeader returns what undoes the block's branch filter; nil where it has none.
func parseXZBlockHeader(h []byte) (unfilter func([]byte), err error) {
	body := h[:len(h)-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(h[len(h)-4:]) {
		return nil, errXZ
	}
	flags := body[1]
	filters := int(flags&3) + 1
	body = body[2:]
	number := func() uint64 {
		v, n := binary.Uvarint(body)
		if n <= 0 {
			err = errXZ
			return 0
		}
		body = body[n:]
		return v
	}
	for _, present := range []byte{0x40, 0x80} { // compressed size, uncompressed size
		if flags&present != 0 {
			number()
		}
	}
	for i := 0; i < filters && err == nil; i++ {
		id, size := number(), number()
		if err != nil || size > uint64(len(body)) {
			return nil, errXZ
		}
		props := body[:size]
		body = body[size:]
		switch {
		case id == xzFilterLZMA2 && i == filters-1:
		case xzFilters[id] != nil && i == 0 && filters == 2 && len(props) == 0:
			unfilter = xzFilters[id]
		case id > 0x02 && id <= xzMaxBCJFilter:
			return nil, unsupported("xz filter %#x in a chain of %d is not read: rebuild the image with at most one branch filter (mksquashfs -Xbcj)", id, filters)
		default:
			return nil, errXZ
		}
	}
	return unfilter, err
}

func verifyXZCheck(check byte, data, stored []byte) error {
	var ok bool
	switch check {
	case 0:
		return nil
	case xzCheckCRC32:
		ok = len(stored) >= 4 && binary.LittleEndian.Uint32(stored) == crc32.ChecksumIEEE(data)
	case xzCheckCRC64:
		ok = len(stored) >= 8 && binary.LittleEndian.Uint64(stored) == crc64.Checksum(data, crc64Table)
	case xzCheckSHA256:
		sum := sha256.Sum256(data)
		ok = len(stored) >= len(sum) && bytes.Equal(sum[:], stored[:len(sum)])
	default:
		return fmt.Errorf("unknown xz check %d", check)
	}
	if !ok {
		return errors.New("xz checksum does not match")
	}
	return nil
}

var crc64Table = crc64.MakeTable(crc64.ECMA)
