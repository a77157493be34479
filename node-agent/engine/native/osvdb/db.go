// Package osvdb is the native engine's database of advisories: OSV records (ossf.github.io/osv-schema) in one file that is
// looked up in place. osv-scalibr's own matcher reads an ecosystem's whole zip file for every image, and stops when one is
// missing.
//
// The file, all numbers little-endian:
//
//	header  magic, then offset and length of the index and of the description
//	lists   for every package some record speaks of, its entries as JSON
//	index   one slot for each list, sorted by hash: hash of ecosystem and name, offset, length
//	about   the Info as JSON
//
// A lookup reads some twenty slots and one list. Nothing is held in memory but the Info.
package osvdb

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"
	"time"
)

const (
	magic      = "sifosv1\n"
	headerSize = 40
	slotSize   = 20

	// maxList bounds the entries of one package: those of the Linux kernel in one distribution take 6 MiB.
	maxList = 256 << 20
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
	index int64
	slots int
	info  Info
	names []string // ecosystems, sorted
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
	var head [headerSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil || string(head[:8]) != magic {
		return nil, ErrFormat
	}
	number := func(i int) int64 { return int64(binary.LittleEndian.Uint64(head[8+8*i:])) }
	index, slots, about, length := number(0), number(1), number(2), number(3)
	size := info.Size()
	if index < headerSize || slots < 0 || slots > size/slotSize || index > size-slots*slotSize ||
		about < headerSize || length < 0 || length > maxAbout || about > size-length {
		return nil, fmt.Errorf("%w: its parts lie outside its %d bytes", ErrFormat, size)
	}
	db := &DB{r: f, close: f.Close, index: index, slots: int(slots)}
	text := make([]byte, length)
	if _, err := f.ReadAt(text, about); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &db.info); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for name := range db.info.Ecosystems {
		db.names = append(db.names, name)
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

// list is what the database stores of one package.
type list struct {
	Ecosystem string  `json:"e"`
	Name      string  `json:"n"`
	Entries   []entry `json:"l"`
}

// slot is one element of the index.
type slot struct {
	hash   uint64
	offset int64
	length int64
}

func parseSlot(raw []byte) slot {
	return slot{
		hash:   binary.LittleEndian.Uint64(raw),
		offset: int64(binary.LittleEndian.Uint64(raw[8:])),
		length: int64(binary.LittleEndian.Uint32(raw[16:])),
	}
}

// hashOf is the place of a package in the index.
func hashOf(k key) uint64 {
	h := sha256.Sum256([]byte(k.ecosystem + "\x00" + k.name))
	return binary.LittleEndian.Uint64(h[:])
}

func (db *DB) slot(i int) (slot, error) {
	var raw [slotSize]byte
	if _, err := db.r.ReadAt(raw[:], db.index+int64(i)*slotSize); err != nil {
		return slot{}, fmt.Errorf("read the database of advisories: %w", err)
	}
	return parseSlot(raw[:]), nil
}

// lookup returns the entries of a package, none when no record speaks of it.
func (db *DB) lookup(k key) ([]entry, error) {
	hash := hashOf(k)
	var readErr error
	i := sort.Search(db.slots, func(i int) bool {
		s, err := db.slot(i)
		if err != nil {
			readErr = err
		}
		return s.hash >= hash
	})
	for ; readErr == nil && i < db.slots; i++ {
		s, err := db.slot(i)
		if err != nil || s.hash != hash {
			return nil, err
		}
		l, err := db.list(s)
		if err != nil {
			return nil, err
		}
		if l.Ecosystem == k.ecosystem && l.Name == k.name {
			return l.Entries, nil
		}
	}
	return nil, readErr
}

func (db *DB) list(s slot) (list, error) {
	var l list
	if s.offset < headerSize || s.length > maxList || s.offset > db.index-s.length {
		return l, fmt.Errorf("%w: an entry lies outside it", ErrFormat)
	}
	text := make([]byte, s.length)
	if _, err := db.r.ReadAt(text, s.offset); err != nil {
		return l, fmt.Errorf("read the database of advisories: %w", err)
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return l, nil
}
