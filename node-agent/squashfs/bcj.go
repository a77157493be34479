package squashfs

import "encoding/binary"

// unfilterX86 undoes liblzma's x86 branch filter in place: the encoder turned
// the relative targets of CALL (e8) and JMP (e9) into absolute ones. Which
// opcodes it left alone depends on suspected opcodes in the three bytes before,
// which mask remembers. The rules are those of the .xz specification, 5.3.2,
// and of liblzma's simple/x86.c.
func unfilterX86(p []byte) {
	const opcodeLen = 5
	last, mask := -1, uint32(0)
	for i := 0; i+opcodeLen <= len(p); {
		if p[i]&0xfe != 0xe8 {
			i++
			continue
		}
		if distance := i - last; distance > 3 {
			mask = 0
		} else {
			mask = mask << (distance - 1) & 7
		}
		last = i
		if !convertible(p[i:i+opcodeLen], mask) {
			mask = mask<<1 | 1
			i++
			continue
		}
		target := binary.LittleEndian.Uint32(p[i+1:]) - uint32(i+opcodeLen)
		if mask != 0 {
			shift := 8 * suspectedByte[mask]
			if signByte(byte(target >> (24 - shift))) {
				target ^= 1<<(32-shift) - 1
				target -= uint32(i + opcodeLen)
			}
		}
		// A target has 25 significant bits; the rest is its sign.
		target = uint32(int32(target<<7) >> 7)
		binary.LittleEndian.PutUint32(p[i+1:], target)
		i += opcodeLen
	}
}

// suspectedByte is the place of the byte, counted from the target's last one,
// that tells whether the encoder converted an opcode in spite of mask.
var suspectedByte = [8]uint{0, 1, 2, 2, 3, 3, 3, 3}

func convertible(op []byte, mask uint32) bool {
	switch mask {
	case 0:
	case 1, 2, 4:
		if signByte(op[4-suspectedByte[mask]]) {
			return false
		}
	default:
		return false
	}
	return signByte(op[4])
}

func signByte(b byte) bool { return b == 0x00 || b == 0xff }
