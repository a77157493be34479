// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// maxKept is how much is kept between two looks of what inventories tell, over all runs: images and reports of images,
// some 150 bytes each. A run for which there is no room is read anew at each look.
const maxKept = 100_000

// metadataPage is how many inventories' metadata are read at once, of some 1 KiB each.
const metadataPage = 500

// readings keeps what the inventories of runs told when they were last read. A large run is looked at every two
// seconds and has hundreds of them, of which a few changed.
type readings struct {
	mu   sync.Mutex
	runs map[types.NamespacedName]*reading
	size int
}

// reading is what is kept of one run.
type reading struct {
	scan  types.UID
	run   string
	parts map[string]keptPart // by the inventory's name
	size  int
}

// keptPart is what an inventory told in a version.
type keptPart struct {
	version string
	worker  int32
	*inventoryPart
}

// take hands out what is kept of a run, which is kept no longer.
func (k *readings) take(p *pass) *reading {
	is := k.drop(client.ObjectKeyFromObject(p.scan))
	if is == nil || is.scan != p.scan.UID || is.run != p.run {
		return newReading(p)
	}
	return is
}

func (k *readings) drop(scan types.NamespacedName) *reading {
	k.mu.Lock()
	defer k.mu.Unlock()
	is := k.runs[scan]
	if is != nil {
		k.size -= is.size
		delete(k.runs, scan)
	}
	return is
}

// keep is for a run of which nothing is kept now.
func (k *readings) keep(p *pass, is *reading) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.size+is.size > maxKept {
		return
	}
	if k.runs == nil {
		k.runs = map[types.NamespacedName]*reading{}
	}
	k.size += is.size
	k.runs[client.ObjectKeyFromObject(p.scan)] = is
}

func newReading(p *pass) *reading {
	return &reading{scan: p.scan.UID, run: p.run, parts: map[string]keptPart{}}
}

func (i *reading) add(name string, part keptPart) {
	i.size += part.size()
	if i.size > maxKept {
		clear(i.parts) // it will not be kept
		return
	}
	i.parts[name] = part
}

// imagesOf reads what the inventories of a run tell of images: those that changed since the last look.
func (r *Reconciler) imagesOf(ctx context.Context, p *pass, nodes int) (*liveImages, error) {
	was, is, images := r.readings.take(p), newReading(p), newLiveImages()
	add := func(name string, part keptPart) error {
		if int(part.worker) >= nodes {
			return nil
		}
		is.add(name, part)
		if images.merge(part.worker, part.inventoryPart); images.count() > mostImages(nodes) {
			return errTooManyImages
		}
		return nil
	}
	read := func(worker int32, i *v1alpha1.ScanInventory) error {
		return add(i.Name, keptPart{i.ResourceVersion, worker, partOf(i)})
	}
	changed, all, err := r.changedInventories(ctx, p, was, add)
	switch {
	case err != nil:
		return nil, err
	case all:
		*is, *images = *newReading(p), *newLiveImages()
		err = r.eachNodeInventory(ctx, p, read)
	default:
		err = r.readInventories(ctx, p, changed, read)
	}
	if err != nil {
		return nil, err
	}
	r.readings.keep(p, is)
	return images, nil
}

// changedInventories calls same with what is known already, and returns the names of the others; or that all are
// to be read, which then is less work.
func (r *Reconciler) changedInventories(ctx context.Context, p *pass, was *reading, same func(string, keptPart) error) (changed []string, all bool, err error) {
	if len(was.parts) == 0 {
		return nil, true, nil
	}
	known := 0
	err = eachPage(ctx, r.Live, "metadata of ScanInventories of run "+p.run, metadataPage, inventoryMetadataList, func(page *metav1.PartialObjectMetadataList) error {
		for i := range page.Items {
			m := &page.Items[i]
			part, is := was.parts[m.Name]
			if !is || part.version != m.ResourceVersion {
				changed = append(changed, m.Name)
				continue
			}
			known++
			if err := same(m.Name, part); err != nil {
				return err
			}
		}
		return nil
	}, client.InNamespace(p.scan.Namespace), ofRun(p))
	// One at a time is cheaper than pages of which most is known, but not if there are many.
	pages := (known+len(changed))/nodeInventoryPage + 1
	return changed, len(changed) > 2*pages, err
}

// readInventories reads some inventories of a run one by one. One that is gone says nothing.
func (r *Reconciler) readInventories(ctx context.Context, p *pass, names []string, fn func(int32, *v1alpha1.ScanInventory) error) error {
	base := JobName(p.scan.Name, p.run)
	for _, name := range names {
		worker, _, ok := parseInventoryName(base, name)
		if !ok {
			continue
		}
		inventory := &v1alpha1.ScanInventory{}
		err := r.Live.Get(ctx, types.NamespacedName{Namespace: p.scan.Namespace, Name: name}, inventory)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("read ScanInventory %s: %w", name, err)
		}
		if err == nil {
			if err := fn(worker, inventory); err != nil {
				return err
			}
		}
	}
	return nil
}

// inventoryPart is what an inventory tells of images.
type inventoryPart struct {
	found, keyless int32
	images         []partImage // one for each key
	outcomes       map[string]v1alpha1.EntryOutcome
	unreadable     string
}

// partImage is an image of an inventory, with its report, or a report of who could not read it.
type partImage struct{ key, report, vain string }

func (i *inventoryPart) size() int { return 1 + len(i.images) + len(i.outcomes) }

// partOf is pure. Texts that inventories of other nodes repeat are kept once.
func partOf(inventory *v1alpha1.ScanInventory) *inventoryPart {
	part := &inventoryPart{}
	entries, err := inventory.AllEntries()
	if err != nil {
		part.unreadable = printable(err.Error(), maxDetail)
	}
	for i := range entries {
		if e := &entries[i]; e.Report != "" {
			if part.outcomes == nil {
				part.outcomes = map[string]v1alpha1.EntryOutcome{}
			}
			noteOutcome(part.outcomes, common(e.Report), common(e.Outcome))
		}
	}
	at := map[string]int{}
	for i := range inventory.Containers {
		c := &inventory.Containers[i]
		increase(&part.found, max(c.Ranks, 1))
		if !imageKey.MatchString(c.Key) {
			increase(&part.keyless, 1)
			continue
		}
		n, seen := at[c.Key]
		if !seen {
			n = len(part.images)
			at[c.Key] = n
			part.images = append(part.images, partImage{key: common(c.Key)})
		}
		part.images[n].see(c)
	}
	part.images = slices.Clip(part.images)
	return part
}

func (i *partImage) see(c *v1alpha1.InventoryContainer) {
	report := &i.report
	if c.Coverage == v1alpha1.CoverageVanished || c.Coverage == v1alpha1.CoverageUnreachable {
		report = &i.vain
	}
	if *report == "" {
		*report = common(c.Report)
	}
}
