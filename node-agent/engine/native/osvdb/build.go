package osvdb

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Source says what to build a database from.
type Source struct {
	// From is a directory with OSV's zip files (<ecosystem>/all.zip), or records as single .json files, or both, at any
	// depth. Empty when only Base and Add are used.
	From string
	// Base is a database to start from; its records are replaced by those of the same identifier in From and Add.
	Base string
	// Add is a further zip file, record, or directory of them.
	Add string
	// Now becomes Info.BuiltAt.
	Now time.Time
}

// Build makes the database file out, replacing one that is there in one step: a scan that has it open keeps the old one. It
// needs room for two copies beside out and, for 250,000 records, 400 MB of memory. A record that cannot be parsed fails the
// build: a database that silently lacks records would make images look clean.
func Build(ctx context.Context, out string, src Source) (Info, error) {
	b, err := newBuilder(filepath.Dir(out))
	if err != nil {
		return Info{}, err
	}
	defer b.close()
	for _, path := range []string{src.Add, src.From} {
		if path == "" {
			continue
		}
		if err := eachRecord(ctx, path, b.add); err != nil {
			return Info{}, err
		}
	}
	if src.Base != "" {
		if err := b.addBase(ctx, src.Base); err != nil {
			return Info{}, err
		}
	}
	if b.info.Records == 0 {
		return Info{}, fmt.Errorf("no OSV record in %s: give a directory with OSV's zip files or records as .json files", cmp.Or(src.From, src.Add))
	}
	b.info.BuiltAt = src.Now.UTC()
	return b.write(ctx, out)
}

// builder collects entries in a temporary file and remembers where each lies: the entries of all of OSV take 400 MB, their
// places 20.
type builder struct {
	dir     string
	temp    *os.File
	w       *bufio.Writer
	at      int64
	places  []place
	keys    map[key]int32 // number of a package
	names   []key
	records map[string]bool // seen identifiers
	scores  map[string]rating
	info    Info
}

// place is where an entry lies in the temporary file.
type place struct {
	pkg    int32
	length int32
	offset int64
}

func newBuilder(dir string) (*builder, error) {
	temp, err := os.CreateTemp(dir, ".osvdb-entries-*")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file beside the database: %w", err)
	}
	return &builder{
		dir: dir, temp: temp, w: bufio.NewWriterSize(temp, 1<<20), keys: map[key]int32{}, records: map[string]bool{},
		scores: map[string]rating{}, info: Info{Ecosystems: map[string]int{}},
	}, nil
}

func (b *builder) close() {
	b.temp.Close()           //nolint:errcheck // nothing of it is kept
	os.Remove(b.temp.Name()) //nolint:errcheck // nothing of it is kept
}

// add takes one record. The first of two records with one identifier holds: what is added comes before the rest.
func (b *builder) add(text []byte) error {
	r, entries, err := parseRecord(text)
	if err != nil {
		return err
	}
	if b.records[r.ID] {
		return nil
	}
	b.records[r.ID] = true
	if r.Modified.After(b.info.UpdatedAt) {
		b.info.UpdatedAt = r.Modified.UTC()
	}
	if r.Withdrawn != nil {
		return nil
	}
	b.info.Records++
	b.score(&r)
	for k, list := range entries {
		for i := range list {
			if err := b.put(k, &list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// score remembers a record's CVSS rating under its names, for records of the same vulnerability that have none.
func (b *builder) score(r *record) {
	best, ok := newest(r.Severity)
	if !ok {
		return
	}
	best.Source += " of " + r.ID
	for _, id := range append([]string{r.ID}, r.Aliases...) {
		if _, known := b.scores[id]; !known || id == r.ID {
			b.scores[id] = best
		}
	}
}

func (b *builder) put(k key, e *entry) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	pkg, known := b.keys[k]
	if !known {
		pkg = int32(len(b.names))
		b.keys[k] = pkg
		b.names = append(b.names, k)
	}
	b.places = append(b.places, place{pkg: pkg, length: int32(len(text)), offset: b.at})
	b.at += int64(len(text))
	b.info.Ecosystems[k.ecosystem]++
	_, err = b.w.Write(text)
	return err
}

// addBase takes the entries of a database whose records were not given anew.
func (b *builder) addBase(ctx context.Context, path string) error {
	base, err := Open(path)
	if err != nil {
		return err
	}
	defer base.Close() //nolint:errcheck // opened for reading
	given := b.records
	b.records = map[string]bool{}
	m := new(memory)
	for i := range base.head.slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		raw := grow(&m.slots, slotSize)
		if err := base.read(raw, base.head.index+i*slotSize); err != nil {
			return err
		}
		l, k, err := base.list(parseSlot(raw), m)
		if err != nil {
			return err
		}
		entries, err := l.whole()
		if err != nil {
			return err
		}
		for j := range entries {
			e := &entries[j]
			if given[e.ID] {
				continue
			}
			if !b.records[e.ID] {
				b.records[e.ID] = true
				b.info.Records++
			}
			if err := b.put(k, e); err != nil {
				return err
			}
		}
	}
	if base.info.UpdatedAt.After(b.info.UpdatedAt) {
		b.info.UpdatedAt = base.info.UpdatedAt
	}
	return nil
}

// write writes the database beside out and moves it there.
func (b *builder) write(ctx context.Context, out string) (Info, error) {
	if err := b.w.Flush(); err != nil {
		return Info{}, err
	}
	f, err := os.CreateTemp(b.dir, ".osvdb-*")
	if err != nil {
		return Info{}, err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone by that name after the move
	defer f.Close()           //nolint:errcheck // closed below
	if err := b.writeTo(ctx, f); err != nil {
		return Info{}, fmt.Errorf("write the database of advisories: %w", err)
	}
	// Others read it: the file is made for one pod and mounted into many.
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return Info{}, fmt.Errorf("write the database of advisories: %w", err)
	}
	return b.info, os.Rename(f.Name(), out)
}

func (b *builder) writeTo(ctx context.Context, f *os.File) error {
	if _, err := f.Seek(headerSize, io.SeekStart); err != nil {
		return err
	}
	w := &digestWriter{w: bufio.NewWriterSize(f, 1<<20), hash: sha256.New(), at: headerSize}
	index, err := b.writeLists(ctx, w)
	if err != nil {
		return err
	}
	head := header{index: w.at, slots: int64(len(index)) / slotSize}
	w.write(index)
	head.directory, head.bits = w.at, directoryBits(head.slots)
	w.write(directory(index, head.bits))
	b.info.Packages = int(head.slots)
	b.info.Digest = fmt.Sprintf("sha256:%x", w.hash.Sum(nil))
	about, err := json.Marshal(b.info)
	if err != nil {
		return err
	}
	head.about, head.aboutLength = w.at, int64(len(about))
	w.write(about)
	if w.err == nil {
		w.err = w.w.Flush()
	}
	if w.err != nil {
		return w.err
	}
	_, err = f.WriteAt(head.bytes(), 0)
	return err
}

// writeLists writes the list of every package, in the order of the index, and returns the index.
func (b *builder) writeLists(ctx context.Context, w *digestWriter) ([]byte, error) {
	hashes := make([]uint64, len(b.names))
	for i, k := range b.names {
		hashes[i] = hashOf(k)
	}
	slices.SortFunc(b.places, func(x, y place) int {
		return cmp.Or(cmp.Compare(hashes[x.pkg], hashes[y.pkg]), cmp.Compare(x.pkg, y.pkg), cmp.Compare(x.offset, y.offset))
	})
	var index []byte
	for len(b.places) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pkg := b.places[0].pkg
		n := slices.IndexFunc(b.places, func(p place) bool { return p.pkg != pkg })
		if n < 0 {
			n = len(b.places)
		}
		l, err := b.list(b.names[pkg], b.places[:n])
		if err != nil {
			return nil, err
		}
		list, details := l.encode()
		index = slot{hashes[pkg], w.at, int64(len(list)), int64(len(details))}.appendTo(index)
		w.write(list)
		w.write(details)
		b.places = b.places[n:]
	}
	return index, nil
}

// list joins a package's entries, sorted by record, each with the best rating there is.
func (b *builder) list(k key, places []place) (*list, error) {
	l := &list{key: k}
	for _, p := range places {
		text := make([]byte, p.length)
		if _, err := b.temp.ReadAt(text, p.offset); err != nil {
			return nil, err
		}
		var e entry
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, err
		}
		if !e.Rating.scored() {
			b.borrow(&e)
		}
		l.entries = append(l.entries, e)
	}
	slices.SortStableFunc(l.entries, func(x, y entry) int { return cmp.Compare(x.ID, y.ID) })
	return l, nil
}

// borrow rates the entry's vulnerabilities by other records of the same: an advisory about one as a whole, an advisory about
// several each by itself.
func (b *builder) borrow(e *entry) {
	if len(e.CVEs) <= 1 {
		for _, id := range append(slices.Clone(e.CVEs), e.GHSA) {
			if r, ok := b.scores[id]; ok {
				e.Rating = r
				return
			}
		}
		return
	}
	for _, id := range e.CVEs {
		if r, ok := b.scores[id]; ok {
			if e.Ratings == nil {
				e.Ratings = map[string]rating{}
			}
			e.Ratings[id] = r
		}
	}
}

// digestWriter writes, counts and hashes.
type digestWriter struct {
	w    *bufio.Writer
	hash hash.Hash
	at   int64
	err  error
}

func (w *digestWriter) write(data []byte) {
	if w.err != nil {
		return
	}
	w.hash.Write(data)
	_, w.err = w.w.Write(data)
	w.at += int64(len(data))
}
