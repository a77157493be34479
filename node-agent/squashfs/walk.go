package squashfs

import (
	"context"
	"io"
	"io/fs"
)

// MaxDepth is how deep directories may be nested. A path of Linux has at most
// 4,095 bytes, so nothing below this could be opened in a running container.
const MaxDepth = 2048

// Visit is what Walk shows of one file. It is valid during the call only.
type Visit struct {
	Inode *Inode
	Ref   Ref    // of the inode; 0 for the root
	Depth int    // of the root: 0
	Again bool   // this inode was shown before, under another name
	Path  []byte // relative to the root, without a leading slash; empty for the root
}

// Walk visits every file, parents before children, siblings in the order of
// their names' bytes. An error of fn ends the walk, but for fs.SkipDir, which
// leaves a directory out.
//
// It proves what it shows: a directory reached twice or nested too deep is an
// error, and so are listings that are longer together than their table. Its memory does not grow with the image
// but for a bit for each inode.
func (r *Reader) Walk(ctx context.Context, fn func(*Visit) error) error {
	root, err := r.Root()
	if err != nil {
		return err
	}
	w := walk{r: r, ctx: ctx, fn: fn, inode: *root}
	w.visit = Visit{Inode: &w.inode, Path: make([]byte, 0, 512)}
	listings, err := r.countMetadata(span{r.sb.directoryTable, r.listingEnd})
	if err != nil {
		return err
	}
	w.listingBytes = listings * metadataSize
	w.seen.add(root.Number)
	if err := fn(&w.visit); err != nil {
		if err == fs.SkipDir {
			return nil
		}
		return err
	}
	return w.directories(root)
}

type walk struct {
	r     *Reader
	ctx   context.Context
	fn    func(*Visit) error
	inode Inode // of the visit
	visit Visit
	seen  bitmap
	steps int

	// listingBytes is what listings may have together. An attacker can let every
	// directory share one long listing; an honest table is read once.
	listingBytes int64
}

// level is a directory that is being read.
type level struct {
	dir  *Dir
	path int // length of the path to it
}

func (w *walk) directories(root *Inode) error {
	stack := make([]level, 0, 32)
	push := func(i *Inode) error {
		if len(stack) == MaxDepth {
			return corrupt("directories are nested more than %d deep", MaxDepth)
		}
		if w.listingBytes -= i.listing; w.listingBytes < 0 {
			return corrupt("directories share listings: together they are longer than the directory table")
		}
		d, err := w.r.ReadDir(i)
		stack = append(stack, level{d, len(w.visit.Path)})
		return err
	}
	if err := push(root); err != nil {
		return err
	}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		w.visit.Path = w.visit.Path[:top.path]
		e, err := top.dir.next()
		if err == io.EOF {
			stack = stack[:len(stack)-1]
			continue
		}
		if err != nil {
			return w.in(err)
		}
		err = w.enter(e, top.dir.name, len(stack))
		if err == nil && w.inode.Type == Directory {
			err = push(&w.inode)
		}
		if err != nil && err != fs.SkipDir {
			return err
		}
	}
	return nil
}

// enter reads, checks and shows the inode of an entry.
func (w *walk) enter(e rawEntry, name []byte, depth int) error {
	if w.steps++; w.steps%1024 == 0 {
		if err := w.ctx.Err(); err != nil {
			return err
		}
	}
	if len(w.visit.Path) > 0 {
		w.visit.Path = append(w.visit.Path, '/')
	}
	w.visit.Path = append(w.visit.Path, name...)
	if _, err := w.r.entryInode(e, &w.inode); err != nil {
		return w.in(err)
	}
	w.visit.Ref, w.visit.Depth = e.ref, depth
	w.visit.Again = !w.seen.add(w.inode.Number)
	if w.inode.Type == Directory && w.visit.Again {
		return w.in(corrupt("directory inode %d is reached twice: a loop or a second parent", w.inode.Number))
	}
	return w.fn(&w.visit)
}

// in adds the path at which a walk failed.
func (w *walk) in(err error) error {
	if e, ok := err.(*Error); ok {
		return &Error{Kind: e.Kind, Msg: "/" + printable(w.visit.Path) + ": " + e.Msg}
	}
	return err
}

// bitmap is a set of inode numbers in pieces that are allocated when needed.
type bitmap struct{ pieces [][]uint64 }

const pieceBits = 1 << 16

// add tells whether n was not yet in the set.
func (b *bitmap) add(n uint32) bool {
	p := int(n / pieceBits)
	for p >= len(b.pieces) {
		b.pieces = append(b.pieces, nil)
	}
	if b.pieces[p] == nil {
		b.pieces[p] = make([]uint64, pieceBits/64)
	}
	word, bit := &b.pieces[p][n%pieceBits/64], uint64(1)<<(n%64)
	fresh := *word&bit == 0
	*word |= bit
	return fresh
}
