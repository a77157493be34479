package squashfs

import "encoding/binary"

// xzFilters undo liblzma's branch filters in place, by their id in the .xz
// specification, 5.3.2. Encoders turn the relative targets of calls into
// absolute ones, which are alike where one function is called from many places.
// The rules are those of liblzma's src/liblzma/simple. RISC-V's (0x0b) is not
// read: no mksquashfs writes it.
var xzFilters = map[uint64]func([]byte){
	0x04: unfilterX86,
	0x05: unfilterPowerPC,
	0x06: unfilterIA64,
	0x07: unfilterARM,
	0x08: unfilterARMThumb,
	0x09: unfilterSPARC,
	0x0a: unfilterARM64,
}

// unfilterPowerPC: "bl" with a relative target, big-endian.
func unfilterPowerPC(p []byte) {
	for i := 0; i+4 <= len(p); i += 4 {
		w := binary.BigEndian.Uint32(p[i:])
		if w&0xfc000003 == 0x48000001 {
			binary.BigEndian.PutUint32(p[i:], w&^0x03fffffc|(w-uint32(i))&0x03fffffc)
		}
	}
}

// unfilterARM: "bl" executed always. Targets count in words from two instructions ahead.
func unfilterARM(p []byte) {
	for i := 0; i+4 <= len(p); i += 4 {
		w := binary.LittleEndian.Uint32(p[i:])
		if w>>24 == 0xeb {
			binary.LittleEndian.PutUint32(p[i:], 0xeb000000|(w-uint32(i+8)>>2)&0x00ffffff)
		}
	}
}

// unfilterARMThumb: "bl" is a pair of half words with eleven bits of the target each.
func unfilterARMThumb(p []byte) {
	for i := 0; i+4 <= len(p); i += 2 {
		high, low := uint32(binary.LittleEndian.Uint16(p[i:])), uint32(binary.LittleEndian.Uint16(p[i+2:]))
		if high&0xf800 != 0xf000 || low&0xf800 != 0xf800 {
			continue
		}
		target := (high&0x7ff<<11 | low&0x7ff) - uint32(i+4)>>1
		binary.LittleEndian.PutUint16(p[i:], uint16(0xf000|target>>11&0x7ff))
		binary.LittleEndian.PutUint16(p[i+2:], uint16(0xf800|target&0x7ff))
		i += 2
	}
}

// unfilterSPARC: "call" with a target of 23 bits and its sign.
func unfilterSPARC(p []byte) {
	for i := 0; i+4 <= len(p); i += 4 {
		w := binary.BigEndian.Uint32(p[i:])
		if w&0xffc00000 != 0x40000000 && w&0xffc00000 != 0x7fc00000 {
			continue
		}
		target := w - uint32(i)>>2
		sign := -(target >> 22 & 1) << 22 & 0x3fffffff
		binary.BigEndian.PutUint32(p[i:], 0x40000000|sign|target&0x003fffff)
	}
}

// unfilterARM64: "bl", and "adrp" of pages within 512 MiB of the program's begin.
func unfilterARM64(p []byte) {
	for i := 0; i+4 <= len(p); i += 4 {
		w := binary.LittleEndian.Uint32(p[i:])
		switch {
		case w>>26 == 0x25:
			w = 0x94000000 | (w-uint32(i)>>2)&0x03ffffff
		case w&0x9f000000 == 0x90000000:
			page := w>>29&3 | w>>3&0x001ffffc
			if (page+0x00020000)&0x001c0000 != 0 {
				continue
			}
			page -= uint32(i) >> 12
			w = w&0x9000001f | page&3<<29 | page&0x0003fffc<<3 | -(page&0x00020000)&0x00e00000
		default:
			continue
		}
		binary.LittleEndian.PutUint32(p[i:], w)
	}
}

// ia64Branches tells, for the template in the first five bits of a bundle,
// which of its three instructions may be branches.
var ia64Branches = [32]byte{16: 4, 4, 6, 6, 0, 0, 7, 7, 4, 4, 0, 0, 4, 4, 0, 0}

// unfilterIA64: "br.call" in bundles of 16 bytes, with instructions of 41 bits.
func unfilterIA64(p []byte) {
	const (
		bundle      = 16
		first, next = 5, 41 // bits
		length      = 6     // bytes from the one that an instruction begins in to behind its last
		low20       = 1<<20 - 1
	)
	for i := 0; i+bundle <= len(p); i += bundle {
		branches := ia64Branches[p[i]&0x1f]
		for slot := range 3 {
			if branches>>slot&1 == 0 {
				continue
			}
			bit := first + next*slot
			at, shift := p[i+bit/8:][:length], bit%8
			var raw uint64
			for k, b := range at {
				raw |= uint64(b) << (8 * k)
			}
			op := raw >> shift
			if op>>37&0xf != 5 || op>>9&7 != 0 {
				continue
			}
			target := uint32(op>>13&low20|op>>36&1<<20) - uint32(i)>>4
			op = op&^(low20<<13|1<<36) | uint64(target&low20)<<13 | uint64(target>>20&1)<<36
			raw = raw&(1<<shift-1) | op<<shift
			for k := range at {
				at[k] = byte(raw >> (8 * k))
			}
		}
	}
}
