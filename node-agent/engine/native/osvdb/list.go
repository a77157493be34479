package osvdb

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// A package's list, as bytes. Numbers are uvarints, a text is its length and its bytes.
//
//	head     ecosystem, name, the texts of all versions, then for each entry: the length of its details, its ranges as
//	         events (number of the version, times four, plus what happens there), its single versions by number
//	details  of one entry after the other: names, summary, ratings
//
// Whether a version is affected is decided in the head, where each version is a text once however many records name it: the
// kernel's 4,000 records name some 300. Details are decoded of the few records that do affect it. As JSON, decoding took
// three quarters of a match.

// What happens at an event's version. An introduction at "0" is before every version and names none.
const (
	introduced = iota
	fixed
	lastAffected
	fromBeginning
)

// what splits an event into its version and what happens there.
func (e event) what() (version string, what int) {
	switch {
	case e.Introduced == "0":
		return "", fromBeginning
	case e.Introduced != "":
		return e.Introduced, introduced
	case e.Fixed != "":
		return e.Fixed, fixed
	}
	return e.LastAffected, lastAffected
}

// eventAt is the inverse.
func eventAt(version string, what int) event {
	switch what {
	case fromBeginning:
		return event{Introduced: "0"}
	case introduced:
		return event{Introduced: version}
	case fixed:
		return event{Fixed: version}
	}
	return event{LastAffected: version}
}

// writer appends the parts of a list.
type writer []byte

func (w *writer) number(n int) { *w = binary.AppendUvarint(*w, uint64(n)) }

func (w *writer) text(s string) {
	w.number(len(s))
	*w = append(*w, s...)
}

func (w *writer) texts(list []string) {
	w.number(len(list))
	for _, s := range list {
		w.text(s)
	}
}

func (w *writer) rating(r rating) {
	w.text(string(r.Severity))
	*w = binary.LittleEndian.AppendUint64(*w, math.Float64bits(r.Score))
	w.text(r.Vector)
	w.text(r.Source)
}

// list is what the database holds of one package.
type list struct {
	key
	entries []entry
}

// encode returns the list's head and details. Ranges are put in the order of their versions.
func (l *list) encode() (head, details []byte) {
	var h, d writer
	var versions []string
	numbers := map[string]int{}
	number := func(version string) int {
		n, known := numbers[version]
		if !known {
			n = len(versions)
			numbers[version] = n
			versions = append(versions, version)
		}
		return n
	}
	for i := range l.entries {
		e := &l.entries[i]
		before := len(d)
		d.details(e)
		h.number(len(d) - before)
		h.number(len(e.Ranges))
		for _, events := range e.Ranges {
			h.number(len(events))
			for _, e := range inOrder(events, l.ecosystem) {
				version, what := e.what()
				if what == fromBeginning {
					h.number(fromBeginning)
				} else {
					h.number(number(version)<<2 | what)
				}
			}
		}
		h.number(len(e.Versions))
		for _, v := range e.Versions {
			h.number(number(v))
		}
	}
	var first writer
	first.text(l.ecosystem)
	first.text(l.name)
	first.texts(versions)
	first.number(len(l.entries))
	return append(first, h...), d
}

func (w *writer) details(e *entry) {
	w.text(e.ID)
	w.texts(e.CVEs)
	w.text(e.GHSA)
	w.text(e.Summary)
	w.rating(e.Rating)
	w.number(len(e.Ratings))
	for _, id := range e.CVEs { // in this order: equal records make equal digests
		if r, ok := e.Ratings[id]; ok {
			w.text(id)
			w.rating(r)
		}
	}
}

// reader takes a list apart. Once something does not fit, it is broken, and every further part is empty.
type reader struct {
	rest   string
	broken bool
}

func (r *reader) take(n int) string {
	if n < 0 || n > len(r.rest) {
		r.rest, r.broken = "", true
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) number() int {
	n := uint64(0)
	for i := 0; i < len(r.rest) && i < 5; i++ { // nothing in a list reaches 2^35
		b := r.rest[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.rest = r.rest[i+1:]
			return int(n)
		}
	}
	r.rest, r.broken = "", true
	return 0
}

// count reads how many parts follow, of which each takes a byte at least.
func (r *reader) count() int {
	n := r.number()
	if n > len(r.rest) {
		r.rest, r.broken = "", true
		return 0
	}
	return n
}

func (r *reader) text() string { return r.take(r.number()) }

func (r *reader) texts(into []string) []string {
	for range r.count() {
		into = append(into, r.text())
	}
	return into
}

func (r *reader) rating() rating {
	s := engine.Severity(r.text())
	score := r.take(8)
	if r.broken {
		return rating{}
	}
	return rating{Severity: s, Score: math.Float64frombits(binary.LittleEndian.Uint64([]byte(score))), Vector: r.text(), Source: r.text()}
}

func (r *reader) details(e *entry) {
	e.ID, e.CVEs, e.GHSA, e.Summary, e.Rating = r.text(), r.texts(nil), r.text(), r.text(), r.rating()
	for range r.count() {
		if e.Ratings == nil {
			e.Ratings = map[string]rating{}
		}
		id := r.text()
		e.Ratings[id] = r.rating()
	}
}

// listing is a list as it is read: what decides in the head, entry by entry; details when asked for.
type listing struct {
	head     reader // at the next entry
	details  []byte // valid until the next lookup
	versions []string
	left     int // entries
	at       int // of the next entry's details
}

// newListing reads what stands before the entries.
func newListing(head string, details []byte) (l listing, k key) {
	l = listing{head: reader{rest: head}, details: details}
	k = key{l.head.text(), l.head.text()}
	l.versions = l.head.texts(nil)
	l.left = l.head.count()
	return l, k
}

// item is an entry's part of the head.
type item struct {
	at, length int   // of the details
	marks      []int // events of all ranges, in order; each range ends with endOfRange
	single     []int // versions
}

const endOfRange = -1

// next reads the next entry's part into it and returns false behind the last one, and when the list is damaged.
func (l *listing) next(it *item) bool {
	if l.left == 0 {
		return false
	}
	l.left--
	it.at, it.length, it.marks, it.single = l.at, l.head.number(), it.marks[:0], it.single[:0]
	l.at += it.length
	for range l.head.count() {
		for range l.head.count() {
			n := l.head.number()
			l.head.broken = l.head.broken || n != fromBeginning && (n&3 == fromBeginning || n>>2 >= len(l.versions))
			it.marks = append(it.marks, n)
		}
		it.marks = append(it.marks, endOfRange)
	}
	for range l.head.count() {
		n := l.head.number()
		l.head.broken = l.head.broken || n >= len(l.versions)
		it.single = append(it.single, n)
	}
	return !l.head.broken
}

// err tells whether the list was damaged.
func (l *listing) err() error {
	if l.head.broken {
		return errDamaged
	}
	return nil
}

var errDamaged = fmt.Errorf("%w: an entry is damaged", ErrFormat)

// describe decodes an entry's details. They keep nothing of the list's memory.
func (l *listing) describe(it *item) (*entry, error) {
	if it.at+it.length > len(l.details) {
		return nil, errDamaged
	}
	e := new(entry)
	r := reader{rest: string(l.details[it.at : it.at+it.length])}
	if r.details(e); r.broken {
		return nil, errDamaged
	}
	return e, nil
}

// whole decodes everything.
func (l *listing) whole() (list []entry, err error) {
	for it := (item{}); l.next(&it); {
		e, err := l.describe(&it)
		if err != nil {
			return nil, err
		}
		var events []event
		for _, m := range it.marks {
			switch m {
			case endOfRange:
				e.Ranges, events = append(e.Ranges, events), nil
			case fromBeginning:
				events = append(events, eventAt("", m))
			default:
				events = append(events, eventAt(l.versions[m>>2], m&3))
			}
		}
		for _, n := range it.single {
			e.Versions = append(e.Versions, l.versions[n])
		}
		list = append(list, *e)
	}
	return list, l.err()
}
