package squashfs

import (
	"encoding/binary"
	"io"
	"sync"
)

// windowBlocks is how many entries of a file's block list are decoded at a
// time. A file's list can be as long as the image can hold (8 GiB in blocks of
// 4 KiB: 8 MiB of list), so it is never held as a whole.
const windowBlocks = 1024

// File reads the content of a regular file at any offset, safe for parallel use.
type File struct {
	r      *Reader
	inode  Inode
	blocks int64 // without the fragment

	mu     sync.Mutex
	marks  []blockMark // where each window begins, as far as it was read
	window int64       // the number of the window that is decoded, or -1
	sizes  []uint32
	offs   []int64
}

type blockMark struct {
	list metaPos
	disk int64
}

// Open prepares to read a regular file. It reads nothing.
func (r *Reader) Open(i *Inode) (*File, error) {
	if i.Type != Regular {
		return nil, corrupt("inode %d is opened as a file but is none", i.Number)
	}
	f := &File{r: r, inode: *i, window: -1}
	bs := int64(r.sb.BlockSize)
	f.blocks = i.Size / bs
	if i.frag == noFragment && i.Size%bs != 0 {
		f.blocks++
	}
	f.marks = []blockMark{{i.tail, i.start}}
	return f, nil
}

// Size returns the number of bytes.
func (f *File) Size() int64 { return f.inode.Size }

// block says where a block of the file lies.
func (f *File) block(n int64) (blockRef, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := n / windowBlocks; w != f.window {
		if err := f.load(w); err != nil {
			return blockRef{}, err
		}
	}
	k := n % windowBlocks
	return blockRef{f.offs[k], f.sizes[k]}, nil
}

// load decodes window w of the block list, and those before it that were never
// read, since where a block lies is the sum of the sizes before it.
func (f *File) load(w int64) error {
	first := min(w, int64(len(f.marks))-1)
	c, err := f.r.cursorAt(f.marks[first].list, f.r.sb.directoryTable)
	if err != nil {
		return err
	}
	f.window = -1
	for v := first; v <= w; v++ {
		disk := f.marks[v].disk
		n := int(min(windowBlocks, f.blocks-v*windowBlocks))
		raw, err := c.take(4 * n)
		if err != nil {
			return err
		}
		f.sizes, f.offs = grow(f.sizes, n), grow(f.offs, n)
		for k := range n {
			b, err := f.r.blockRef(uint64(disk), binary.LittleEndian.Uint32(raw[4*k:]))
			if err != nil {
				return err
			}
			f.sizes[k], f.offs[k] = b.size, disk
			disk += b.stored()
		}
		if v+1 == int64(len(f.marks)) {
			f.marks = append(f.marks, blockMark{c.pos(), disk})
		}
	}
	f.window = w
	return nil
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Hole returns how many bytes from off on are a hole, up to the end of the
// block that off lies in; 0 where there is data.
func (f *File) Hole(off int64) (int64, error) {
	bs := int64(f.r.sb.BlockSize)
	n := off / bs
	if n >= f.blocks {
		return 0, nil
	}
	ref, err := f.block(n)
	if err != nil || ref.stored() > 0 {
		return 0, err
	}
	return min((n+1)*bs, f.inode.Size) - off, nil
}

// BlockEnd returns where the block that off lies in ends.
func (f *File) BlockEnd(off int64) int64 {
	bs := int64(f.r.sb.BlockSize)
	return min((off/bs+1)*bs, f.inode.Size)
}

// ReadAt implements io.ReaderAt. Holes read as zeros.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, corrupt("read at the negative offset %d", off)
	}
	done := 0
	for done < len(p) && off < f.inode.Size {
		n, err := f.readBlock(p[done:], off)
		done += n
		off += int64(n)
		if err != nil {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// readBlock reads from off to the end of p or of the block that off lies in.
func (f *File) readBlock(p []byte, off int64) (int, error) {
	bs := int64(f.r.sb.BlockSize)
	n := off / bs
	in := int(off % bs)
	length := int(min(bs, f.inode.Size-n*bs))
	p = p[:min(len(p), length-in)]
	if n >= f.blocks {
		return f.readTail(p, in, length)
	}
	ref, err := f.block(n)
	switch {
	case err != nil:
		return 0, err
	case ref.stored() == 0:
		clear(p)
		return len(p), nil
	case len(p) == length:
		// Whole blocks go straight into the caller's memory, past the cache.
		m, err := f.r.inflate(p, ref)
		if err == nil && m != length {
			err = shortBlock(ref, m, length)
		}
		if err != nil {
			return 0, err
		}
		return m, nil
	}
	b := f.r.data.acquire(ref, func(dst []byte) (int, error) { return f.r.inflate(dst, ref) })
	defer f.r.data.release(b)
	if b.err != nil {
		return 0, b.err
	}
	if len(b.data) != length {
		return 0, shortBlock(ref, len(b.data), length)
	}
	return copy(p, b.data[in:]), nil
}

func shortBlock(ref blockRef, got, want int) error {
	return corrupt("block at offset %d inflates to %d bytes, not %d", ref.off, got, want)
}

// readTail reads from the fragment that holds the last length bytes of the file.
func (f *File) readTail(p []byte, in, length int) (int, error) {
	ref, err := f.r.fragment(f.inode.frag)
	if err != nil {
		return 0, err
	}
	b := f.r.data.acquire(ref, func(dst []byte) (int, error) { return f.r.inflate(dst, ref) })
	defer f.r.data.release(b)
	if b.err != nil {
		return 0, b.err
	}
	at := int64(f.inode.offset)
	if at+int64(length) > int64(len(b.data)) {
		return 0, corrupt("a file's tail of %d bytes at %d lies outside of its fragment of %d bytes", length, at, len(b.data))
	}
	return copy(p, b.data[at+int64(in):]), nil
}
