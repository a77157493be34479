package squashfs

import (
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// maxInflaters bounds the memory of inflateTogether: each holds a decompressor.
	maxInflaters = 8
	// blocksAhead is what a walk that ends early has inflated in vain: 128 KiB.
	blocksAhead = 16
)

// span is a table of metadata blocks: from the first of them to behind the last.
type span struct{ start, end int64 }

// blocks yields where the metadata blocks of a table lie, by their headers alone.
func (r *Reader) blocks(table span) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for off := table.start; off < table.end; {
			if off+metadataHeaderSize > table.end {
				yield(0, corrupt("a metadata block at %d is cut off by the end of its table at %d", off, table.end))
				return
			}
			size, _, err := r.metadataHeader(off)
			if !yield(off, err) || err != nil {
				return
			}
			off += metadataHeaderSize + int64(size)
		}
	}
}

// countMetadata counts the metadata blocks of a table.
func (r *Reader) countMetadata(table span) (count int64, err error) {
	for _, err := range r.blocks(table) {
		if err != nil {
			return 0, err
		}
		count++
	}
	return count, nil
}

// inflateAhead has metadata be inflated on all cores, a little ahead of a walk
// that is about to read the tables whole, until stop is called: inflating is two
// thirds of a walk, which does one thing after the other. Tables that do not fit
// in the cache together are left to the walk, for their blocks could be pushed
// out before they are read.
func (r *Reader) inflateAhead(tables ...span) (stop func(), err error) {
	blocks := int64(0)
	for _, t := range tables {
		n, err := r.countMetadata(t)
		if err != nil {
			return nil, err
		}
		blocks += n
	}
	if blocks > int64(r.meta.limit) {
		return func() {}, nil
	}
	r.ahead.Add(1)
	return func() { r.ahead.Add(-1) }, nil
}

// inflateTogether puts the metadata block at off and those behind it in the
// cache. Errors are left to who reads the block: he knows to which file it
// belongs.
func (r *Reader) inflateTogether(off, end int64) {
	places := make([]int64, 0, blocksAhead)
	for off, err := range r.blocks(span{off, end}) {
		if err != nil || len(places) == blocksAhead {
			break
		}
		if _, ok := r.meta.get(off); !ok {
			places = append(places, off)
		}
	}
	var next atomic.Int64
	work := func() {
		for n := next.Add(1) - 1; n < int64(len(places)); n = next.Add(1) - 1 {
			_, _ = r.inflateMetadata(places[n], end)
		}
	}
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), maxInflaters, len(places)) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
}
