package squashfs

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
)

// maxInflaters bounds the memory of inflateAhead: each holds a decompressor.
const maxInflaters = 8

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

// inflateAhead fills the metadata cache on all cores with what a walk is about
// to read: inflating is two thirds of a walk, which does one thing after the
// other. Tables that do not fit in the cache together are left to the walk, for
// their blocks would be pushed out before they are read; so are errors: the
// walk knows on the way to which file they stand.
func (r *Reader) inflateAhead(ctx context.Context, tables ...span) {
	type place struct{ off, end int64 }
	var places []place
	for _, t := range tables {
		for off, err := range r.blocks(t) {
			if err != nil {
				break
			}
			if len(places) == r.meta.limit {
				return
			}
			places = append(places, place{off, t.end})
		}
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), maxInflaters) {
		workers.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(places) {
					return
				}
				_, _ = r.metadata(places[n].off, places[n].end)
			}
		})
	}
	workers.Wait()
}
