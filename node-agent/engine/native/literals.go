package native

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// literals looks for many short texts in one pass. It looks at every second pair of bytes: a literal of three bytes or more
// has one pair that begins at an even place and one that begins at an odd place, and both are in the table. Searching for 28
// literals one by one took 28 passes, 15 times as long.
type literals struct {
	// pairs has a bit for each pair of bytes that says "look closer": 8 KiB, so that it stays in the first-level cache.
	pairs [1 << 16 / 64]uint64
	// at names, by pair, the literals that have it and where in them.
	at map[uint16][]literalPart
}

type literalPart struct {
	literal string
	offset  int
	owner   int
}

// newLiterals takes the literals of each owner, of three bytes at least.
func newLiterals(owners [][]string) *literals {
	l := &literals{at: map[uint16][]literalPart{}}
	for owner, list := range owners {
		for _, literal := range list {
			for parity := range 2 {
				l.add(literalPart{literal, rarestPair(literal, parity), owner})
			}
		}
	}
	return l
}

func (l *literals) add(p literalPart) {
	pair := binary.LittleEndian.Uint16([]byte(p.literal[p.offset:]))
	l.pairs[pair/64] |= 1 << (pair % 64)
	l.at[pair] = append(l.at[pair], p)
}

// rarestPair returns an even or odd offset of a pair that texts seldom have: two small letters are in every word.
func rarestPair(literal string, parity int) int {
	best, least := parity, 3
	for i := parity; i+1 < len(literal); i += 2 {
		small := 0
		for _, c := range literal[i : i+2] {
			if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz- ", c) {
				small++
			}
		}
		if small < least {
			best, least = i, small
		}
	}
	return best
}

// in returns a bit for each owner of whom a literal is in the text.
func (l *literals) in(text []byte) (owners uint64) {
	i := 0
	for ; i+8 <= len(text); i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		if l.has(uint16(w))|l.has(uint16(w>>16))|l.has(uint16(w>>32))|l.has(uint16(w>>48)) == 0 {
			continue
		}
		for k := i; k < i+8; k += 2 {
			owners |= l.around(text, k)
		}
	}
	for ; i+2 <= len(text); i += 2 {
		owners |= l.around(text, i)
	}
	return owners
}

// has returns 1 for a pair that says "look closer".
func (l *literals) has(pair uint16) uint64 { return l.pairs[pair/64] >> (pair % 64) & 1 }

// around returns the owners of literals that have the pair at i.
func (l *literals) around(text []byte, i int) (owners uint64) {
	pair := binary.LittleEndian.Uint16(text[i:])
	if l.has(pair) == 0 {
		return 0
	}
	for _, p := range l.at[pair] {
		if start := i - p.offset; start >= 0 && bytes.HasPrefix(text[start:], []byte(p.literal)) {
			owners |= 1 << p.owner
		}
	}
	return owners
}
