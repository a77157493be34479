package squashfs

import (
	"io"
	"sync"
)

// maxMarks bounds an Index: 512 names of at most 256 bytes.
const maxMarks = 512

// Index finds names in one directory. The first Lookup reads the listing once
// and remembers, at growing distances, where names lie; from then on a Lookup
// reads a small part of it, whatever the directory's size.
type Index struct {
	r     *Reader
	dir   *Inode
	once  sync.Once
	err   error
	marks []mark
	step  int
}

// mark is a place in a listing from where reading can go on.
type mark struct {
	name  string // of the entry before
	pos   metaPos
	state listingState
}

// Index prepares lookups in a directory. It is safe for parallel use.
func (r *Reader) Index(dir *Inode) *Index { return &Index{r: r, dir: dir} }

// Inode returns the directory.
func (x *Index) Inode() *Inode { return x.dir }

func (x *Index) build() {
	d, err := x.r.ReadDir(x.dir)
	if err != nil {
		x.err = err
		return
	}
	x.step = 16
	for n := 1; ; n++ {
		if _, err := d.next(); err != nil {
			if err != io.EOF {
				x.err = err
			}
			return
		}
		if n%x.step != 0 {
			continue
		}
		if len(x.marks) == maxMarks {
			for i := range maxMarks / 2 {
				x.marks[i] = x.marks[2*i+1]
			}
			x.marks = x.marks[:maxMarks/2]
			x.step *= 2
			if n%x.step != 0 {
				continue
			}
		}
		x.marks = append(x.marks, mark{string(d.name), d.c.pos(), d.listingState})
	}
}

// Lookup finds a name. ok is false when it is not there.
func (x *Index) Lookup(name string) (e Entry, ok bool, err error) {
	x.once.Do(x.build)
	if x.err != nil {
		return Entry{}, false, x.err
	}
	d := Dir{inode: x.dir.Number}
	lo, hi := 0, len(x.marks)
	for lo < hi {
		if mid := (lo + hi) / 2; x.marks[mid].name < name {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		err = x.r.startListing(&d, x.dir)
	} else {
		m := &x.marks[lo-1]
		d.listingState = m.state
		d.name = append(d.nameBuf[:0], m.name...)
		d.c, err = x.r.cursorAt(m.pos, x.r.listingEnd)
	}
	if err != nil {
		return Entry{}, false, err
	}
	for {
		e, err := d.next()
		if err == io.EOF {
			return Entry{}, false, nil
		}
		if err != nil {
			return Entry{}, false, err
		}
		if string(d.name) < name {
			continue
		}
		return Entry{Name: name, Type: e.typ, Number: e.number, Ref: e.ref}, string(d.name) == name, nil
	}
}
