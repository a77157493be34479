// Package osvdb is the native engine's database of advisories: OSV records (ossf.github.io/osv-schema) in one file that is
// looked up in place. osv-scalibr's own matcher reads an ecosystem's whole zip file for every image, and stops when one is
// missing.
//
// The file, all numbers little-endian:
//
//	header     magic, then where the parts are
//	lists      for every package some record speaks of, its entries
//	index      one slot for each list, sorted by hash: hash of ecosystem and name, offset, lengths
//	directory  for each value of the hash's first bits, the first slot that has it
//	about      the Info as JSON
//
// A lookup reads a place of the directory, the few slots there, and the list, if there is one: three reads. Nothing is held in
// memory but the Info.
package osvdb

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	magic      = "sifosv2\n"
	headerSize = 8 + 6*8
	slotSize   = 24

	// maxList bounds the entries of one package: those of the Linux kernel in one distribution take 2 MiB.
	maxList = 64 << 20
	// maxBits bounds the directory, maxBucket the slots that share a place of it: of evenly spread hashes some two.
	maxBits   = 24
	maxBucket = 256
	// maxAbout bounds the description.
	maxAbout = 16 << 20
)

// ErrFormat is wrapped by errors that say the file is no database or is damaged.
var ErrFormat = errors.New("not a database of advisories; make one with node-agent db build")

// Info describes a database.
type Info struct {
	// Digest is the SHA-256 of the entries and their index: equal records make equal digests.
	Digest string `json:"digest"`
	// BuiltAt is when the file was made, UpdatedAt when its newest record was last modified.
	BuiltAt   time.Time `json:"builtAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	// Records counts records, Packages the packages they speak of.
	Records  int `json:"records"`
	Packages int `json:"packages"`
	// Ecosystems counts the entries of each ecosystem, by OSV's name with its release ("Debian:12").
	Ecosystems map[string]int `json:"ecosystems"`
}

// DB is an opened database. It is safe for concurrent use; a file that is replaced while it is open stays as it was.
type DB struct {
	r     io.ReaderAt
	close func() error
	head  header
	info  Info
	names []string        // ecosystems, sorted
	rules map[string]bool // those of them whose versions can be compared
	known answers
}

// header says where the parts of the file are.
type header struct {
	index, slots       int64
	directory, bits    int64
	about, aboutLength int64
}

func (h header) bytes() []byte {
	b := []byte(magic)
	for _, n := range []int64{h.index, h.slots, h.directory, h.bits, h.about, h.aboutLength} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return b
}

// parseHeader refuses parts that lie outside the file of size bytes.
func parseHeader(raw []byte, size int64) (h header, err error) {
	for i, n := range []*int64{&h.index, &h.slots, &h.directory, &h.bits, &h.about, &h.aboutLength} {
		*n = int64(binary.LittleEndian.Uint64(raw[8+8*i:]))
	}
	inside := func(at, length int64) bool {
		return at >= headerSize && length >= 0 && length <= size && at <= size-length
	}
	if h.slots < 0 || h.slots > size/slotSize || !inside(h.index, h.slots*slotSize) ||
		h.bits < 0 || h.bits > maxBits || !inside(h.directory, directorySize(h.bits)) ||
		h.aboutLength > maxAbout || !inside(h.about, h.aboutLength) {
		return h, fmt.Errorf("%w: its parts lie outside its %d bytes", ErrFormat, size)
	}
	return h, nil
}

// Open opens the database file at path.
func Open(path string) (*DB, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the database of advisories: %w", err)
	}
	db, err := open(f)
	if err != nil {
		f.Close() //nolint:errcheck // opened for reading
		return nil, fmt.Errorf("open the database of advisories %s: %w", path, err)
	}
	return db, nil
}

func open(f *os.File) (*DB, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var raw [headerSize]byte
	if _, err := f.ReadAt(raw[:], 0); err != nil || string(raw[:8]) != magic {
		return nil, ErrFormat
	}
	db := &DB{r: f, close: f.Close, rules: map[string]bool{}}
	if db.head, err = parseHeader(raw[:], info.Size()); err != nil {
		return nil, err
	}
	text := make([]byte, db.head.aboutLength)
	if _, err := f.ReadAt(text, db.head.about); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &db.info); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for name, entries := range db.info.Ecosystems {
		db.names = append(db.names, name)
		db.rules[name] = entries > 0 && hasRules(name)
	}
	slices.Sort(db.names)
	return db, nil
}

// Info describes the database.
func (db *DB) Info() Info { return db.info }

// Close closes the file.
func (db *DB) Close() error { return db.close() }

// withPrefix returns the database's ecosystems whose names begin with prefix, sorted.
func (db *DB) withPrefix(prefix string) []string {
	from, _ := slices.BinarySearch(db.names, prefix)
	to := from
	for to < len(db.names) && strings.HasPrefix(db.names[to], prefix) {
		to++
	}
	return db.names[from:to]
}

// slot is one element of the index.
type slot struct {
	hash          uint64
	offset        int64
	head, details int64 // lengths
}

func parseSlot(raw []byte) slot {
	return slot{
		hash:    binary.LittleEndian.Uint64(raw),
		offset:  int64(binary.LittleEndian.Uint64(raw[8:])),
		head:    int64(binary.LittleEndian.Uint32(raw[16:])),
		details: int64(binary.LittleEndian.Uint32(raw[20:])),
	}
}

func (s slot) appendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, s.hash)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.offset))
	b = binary.LittleEndian.AppendUint32(b, uint32(s.head))
	return binary.LittleEndian.AppendUint32(b, uint32(s.details))
}

// hashOf is the place of a package in the index.
func hashOf(k key) uint64 {
	h := sha256.Sum256([]byte(k.ecosystem + "\x00" + k.name))
	return binary.LittleEndian.Uint64(h[:])
}

// directoryBits makes places for some two slots each.
func directoryBits(slots int64) int64 { return min(int64(bits.Len64(uint64(slots/2))), maxBits) }

// directorySize is that of the places and of the end behind the last one.
func directorySize(bits int64) int64 { return 4 * (1<<bits + 1) }

// directory returns, for each value of the first bits of a hash, the first slot that has it or a higher one.
func directory(index []byte, bits int64) []byte {
	var d []byte
	slot := 0
	for place := range uint64(1) << bits {
		for slot < len(index)/slotSize && parseSlot(index[slot*slotSize:]).hash>>(64-bits) < place {
			slot++
		}
		d = binary.LittleEndian.AppendUint32(d, uint32(slot))
	}
	return binary.LittleEndian.AppendUint32(d, uint32(len(index)/slotSize))
}

// read reads len(p) bytes.
func (db *DB) read(p []byte, off int64) error {
	if _, err := db.r.ReadAt(p, off); err != nil {
		return fmt.Errorf("read the database of advisories: %w", err)
	}
	return nil
}

// memory is used again from lookup to lookup.
type memory struct {
	place       [8]byte
	slots, list []byte
}

// lookup returns the list of a package, an empty one when no record speaks of it.
func (db *DB) lookup(k key, m *memory) (listing, error) {
	hash := hashOf(k)
	if err := db.read(m.place[:], db.head.directory+4*int64(hash>>(64-db.head.bits))); err != nil {
		return listing{}, err
	}
	from, to := int64(binary.LittleEndian.Uint32(m.place[:])), int64(binary.LittleEndian.Uint32(m.place[4:]))
	if from > to || to > db.head.slots || to-from > maxBucket {
		return listing{}, fmt.Errorf("%w: its directory is damaged", ErrFormat)
	}
	slots := grow(&m.slots, (to-from)*slotSize)
	if err := db.read(slots, db.head.index+from*slotSize); err != nil {
		return listing{}, err
	}
	for ; len(slots) > 0; slots = slots[slotSize:] {
		if s := parseSlot(slots); s.hash == hash {
			if l, have, err := db.list(s, m); err != nil || have == k {
				return l, err
			}
		}
	}
	return listing{}, nil
}

// list reads the list of a slot, which is valid until the memory is used again.
func (db *DB) list(s slot, m *memory) (listing, key, error) {
	size := s.head + s.details
	if s.offset < headerSize || size > maxList || s.offset > db.head.index-size {
		return listing{}, key{}, fmt.Errorf("%w: an entry lies outside it", ErrFormat)
	}
	data := grow(&m.list, size)
	if err := db.read(data, s.offset); err != nil {
		return listing{}, key{}, err
	}
	l, k := newListing(string(data[:s.head]), data[s.head:])
	return l, k, l.err()
}

// grow returns n bytes of the buffer.
func grow(buf *[]byte, n int64) []byte {
	if int64(cap(*buf)) < n {
		*buf = make([]byte, n)
	}
	return (*buf)[:n]
}
