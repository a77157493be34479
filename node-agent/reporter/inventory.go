// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// maxChunkBytes of paths and containers in one ScanInventory. Paths can be 4 KiB long, and etcd refuses a
// request above 1.5 MiB.
const maxChunkBytes = 512 << 10

// maxEntryPath bounds one path in an inventory: PATH_MAX, each byte escaped.
const maxEntryPath = 16 << 10

// item is an entry or a container.
type item struct {
	entry     *v1alpha1.InventoryEntry
	container *v1alpha1.InventoryContainer
}

// inventory is what this worker has seen, as it will be written in chunks.
type inventory struct {
	opts      Options
	items     []item
	index     map[any]int // path, or occurrence, → position in items
	done      int         // entries
	inHand    inHand
	attempts  map[string]int32 // of earlier pods
	death     string
	notStored string // the first result that was not, not even as a failure
	total     *int32
	startedAt metav1.Time
	chunks    []chunk
	dirty     bool
	flushedAt time.Time
}

// chunk is one ScanInventory object: items[from:to].
type chunk struct {
	from, to int
	bytes    int
	dirty    bool
	version  string // resourceVersion; empty when not created yet
	// annotations are the controller's; an update must not remove them.
	annotations map[string]string
}

func newInventory(o Options) *inventory {
	return &inventory{
		opts:      o,
		index:     map[any]int{},
		attempts:  map[string]int32{},
		startedAt: metav1.NewTime(o.Now()),
		chunks:    []chunk{{}},
		dirty:     true,
	}
}

func (in *inventory) labels() map[string]string {
	return map[string]string{
		v1alpha1.LabelScan:      v1alpha1.LabelValue(in.opts.ScanName),
		v1alpha1.LabelScanUID:   in.opts.ScanUID,
		v1alpha1.LabelRun:       in.opts.Run,
		v1alpha1.LabelWorker:    strconv.Itoa(int(in.opts.Worker)),
		v1alpha1.LabelWorkers:   strconv.Itoa(int(in.opts.Workers)),
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
	}
}

func (in *inventory) name(chunk int) string {
	return fmt.Sprintf("%s-w%d-%d", in.opts.Job, in.opts.Worker, chunk)
}

// resume takes over a chunk that an earlier pod of this worker wrote. The entries are laid out
// anew, so that their order does not depend on the order of the list.
func (in *inventory) resume(old *v1alpha1.ScanInventory) {
	for _, e := range old.Entries {
		in.addEntry(e)
	}
	for i := range old.Containers {
		in.addContainer(&old.Containers[i])
	}
	for i := range in.chunks {
		if in.name(i) == old.Name {
			in.chunks[i].version, in.chunks[i].annotations = old.ResourceVersion, old.Annotations
		}
	}
	if old.Name != in.name(0) {
		return
	}
	in.death = old.Annotations[v1alpha1.AnnotationLastDeath]
	if old.Worker.StartedAt != nil {
		in.startedAt = *old.Worker.StartedAt
	}
	for i, f := range old.Worker.InFlight {
		if i == 0 && blameless(old.Annotations) {
			f.Attempts--
		}
		if f.Attempts > 0 {
			in.attempts[f.Path] = f.Attempts
		}
	}
}

func (in *inventory) listed(total int32) {
	in.total = &total
	in.dirty = true
}

func (in *inventory) entry(path string, outcome v1alpha1.EntryOutcome, report string) {
	if in.inHand.path == path {
		in.inHand = inHand{}
	}
	delete(in.attempts, path)
	if !slices.Contains(outcomes, outcome) {
		outcome = v1alpha1.EntryFailed
	}
	in.addEntry(v1alpha1.InventoryEntry{
		Path:      printable.Truncate(path, maxEntryPath),
		Outcome:   outcome,
		Report:    report,
		CheckedAt: metav1.NewTime(in.opts.Now()),
	})
}

var outcomes = []v1alpha1.EntryOutcome{
	v1alpha1.EntryScanned, v1alpha1.EntryUnchanged, v1alpha1.EntryFailed,
	v1alpha1.EntryUnsupported, v1alpha1.EntryDenied, v1alpha1.EntryChanging,
}

func (in *inventory) addEntry(e v1alpha1.InventoryEntry) {
	if in.add(e.Path, item{entry: &e}, len(e.Path)) {
		in.done++
	}
}

// add appends an item to the last chunk that has room, or replaces the item of its key. It tells
// whether the item is new.
func (in *inventory) add(key any, it item, bytes int) bool {
	in.dirty = true
	if at, ok := in.index[key]; ok {
		in.items[at] = it
		for i := range in.chunks {
			if c := &in.chunks[i]; c.from <= at && at < c.to {
				c.dirty = true
			}
		}
		return false
	}
	last := &in.chunks[len(in.chunks)-1]
	if last.to-last.from == v1alpha1.MaxInventoryEntries || last.bytes+bytes > maxChunkBytes && last.to > last.from {
		in.chunks = append(in.chunks, chunk{from: len(in.items), to: len(in.items)})
		last = &in.chunks[len(in.chunks)-1]
	}
	in.index[key] = len(in.items)
	in.items = append(in.items, it)
	last.to++
	last.bytes += bytes
	last.dirty = true
	return true
}

// due reports whether the chunks that changed may be written, one every so often on average.
func (in *inventory) due(now time.Time, every time.Duration) bool {
	return in.dirty && now.Sub(in.flushedAt) >= every*time.Duration(in.writes())
}

// writes are the chunks that a flush writes. With more entries than the first chunk has room for these are two at least: the
// one that grows, and the first, which says how far the worker is.
func (in *inventory) writes() (n int) {
	for i := range in.chunks {
		if in.writable(i) {
			n++
		}
	}
	return n
}

func (in *inventory) writable(i int) bool { return in.chunks[i].dirty || i == 0 && in.dirty }

// worker is what every chunk repeats.
func (in *inventory) worker() v1alpha1.InventoryWorker {
	now := metav1.NewTime(in.opts.Now())
	return v1alpha1.InventoryWorker{
		Index:     in.opts.Worker,
		Node:      in.opts.Node,
		Done:      int32(in.done),
		Total:     in.total,
		InFlight:  in.suspects(),
		StartedAt: &in.startedAt,
		UpdatedAt: &now,
	}
}

// object builds the ScanInventory of a chunk.
func (in *inventory) object(i int) *v1alpha1.ScanInventory {
	c := in.chunks[i]
	obj := &v1alpha1.ScanInventory{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       in.opts.Namespace,
			Name:            in.name(i),
			ResourceVersion: c.version,
			Labels:          in.labels(),
			Annotations:     in.annotations(i),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(),
				Kind:       "SIFScan",
				Name:       in.opts.ScanName,
				UID:        types.UID(in.opts.ScanUID),
			}},
		},
		Worker: in.worker(),
	}
	for _, it := range in.items[c.from:c.to] {
		if it.entry != nil {
			obj.Entries = append(obj.Entries, *it.entry)
		} else {
			obj.Containers = append(obj.Containers, *it.container)
		}
	}
	return obj
}

// flush writes the chunks that changed. The first chunk goes last, for it says how far the
// worker is: nobody must read there of an entry that is not stored.
func (r *Reporter) flush(ctx context.Context) error {
	in := r.inventory
	for i := len(in.chunks) - 1; i >= 0; i-- {
		if !in.writable(i) {
			continue
		}
		err := r.calls.retry(ctx, func(ctx context.Context) error { return r.writeChunk(ctx, i) })
		if err != nil {
			return fmt.Errorf("write ScanInventory %s: %w", in.name(i), err)
		}
		in.chunks[i].dirty = false
	}
	in.dirty = false
	in.flushedAt = r.opts.Now()
	return nil
}

// writeChunk creates or updates a chunk. An object that is there although we did not know is
// from an earlier try whose answer was lost, or was annotated by the controller meanwhile: if
// it is ours the next try goes over it.
func (r *Reporter) writeChunk(ctx context.Context, i int) error {
	c := &r.inventory.chunks[i]
	obj := r.inventory.object(i)
	err := obj.SetEntries(obj.Entries)
	if err != nil {
		return &refused{err.Error()}
	}
	if c.version == "" {
		err = r.api.Create(ctx, obj)
	} else {
		err = r.api.Update(ctx, obj)
	}
	switch {
	case err == nil:
		c.version = obj.ResourceVersion
		return nil
	case apierrors.IsAlreadyExists(err), apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return errors.Join(errAgain, err, r.refresh(ctx, i))
	}
	return err
}

// refresh learns the version and the annotations of the object that has a chunk's name.
func (r *Reporter) refresh(ctx context.Context, i int) error {
	c := &r.inventory.chunks[i]
	current := &v1alpha1.ScanInventory{}
	err := r.api.Get(ctx, types.NamespacedName{Namespace: r.opts.Namespace, Name: r.inventory.name(i)}, current)
	if apierrors.IsNotFound(err) {
		c.version = ""
		return nil
	}
	if err != nil {
		return err
	}
	if !ownedBy(current.OwnerReferences, types.UID(r.opts.ScanUID)) {
		return &refused{fmt.Sprintf("ScanInventory %s belongs to another SIFScan; delete it", current.Name)}
	}
	c.version, c.annotations = current.ResourceVersion, current.Annotations
	return nil
}
