// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// cacheLag is how long a new Job may be missing in the cache until the API server is asked for it.
const cacheLag = 10 * time.Second

// askedFor is how long a scan counts as one that wants slots after it asked: three looks, for one may be late.
const askedFor = 3 * liveInterval

// nodeLedger remembers the Jobs of nodes that were made and that the cache does not show yet. Slots
// counted on the cache alone would be given away twice.
type nodeLedger struct {
	mu      sync.Mutex
	created map[types.UID]createdJob
	// asked are the scans that have nodes to look at, and need slots for them.
	asked map[types.UID]claim
}

// claim is what a scan asked for.
type claim struct {
	scan types.NamespacedName
	// most is its spec.parallelism.
	most int32
	at   time.Time
	// nodes that it has work for and that it was not given.
	nodes []string
}

type createdJob struct {
	name, node string
	scan       types.UID
	at         time.Time
}

// nodesAtWork are all Jobs that take a slot.
type nodesAtWork struct {
	// scans have how many; one that asked for slots and has none is there with 0.
	scans map[types.UID]int
	// nodes that have one: two privileged pods on a node would take from its jobs twice what a node may be asked for.
	nodes map[string]bool
}

func (w nodesAtWork) add(scan types.UID, node string) {
	w.scans[scan]++
	w.nodes[node] = true
}

// nodeShare is how many Jobs a scan may make now, and how many nodes all scans together have at work.
type nodeShare struct {
	free, taken int
	// unseen: the cache does not show all of this scan's Jobs. What it shows decides nothing.
	unseen bool
}

// atWork counts the Jobs that take a slot. The caller holds the ledger's lock until it has made its Jobs.
func (r *Reconciler) atWork(ctx context.Context, now time.Time) (nodesAtWork, error) {
	taken := nodesAtWork{map[types.UID]int{}, map[string]bool{}}
	jobs := &batchv1.JobList{}
	err := r.Client.List(ctx, jobs, client.InNamespace(r.Config.NodeScans.Namespace), client.HasLabels{v1alpha1.LabelScanUID})
	if err != nil {
		return taken, fmt.Errorf("list Jobs of nodes: %w", err)
	}
	for i := range jobs.Items {
		job := &jobs.Items[i]
		delete(r.ledger.created, job.UID)
		if _, over := endOf(job); !over {
			taken.add(types.UID(job.Labels[v1alpha1.LabelScanUID]), job.Annotations[v1alpha1.AnnotationNode])
		}
	}
	if err := r.forgetDeleted(ctx, now); err != nil {
		return taken, err
	}
	for _, job := range r.ledger.created {
		taken.add(job.scan, job.node)
	}
	for scan, c := range r.ledger.asked {
		if now.Sub(c.at) > askedFor { // whatever keeps it from looking
			delete(r.ledger.asked, scan)
			continue
		}
		taken.scans[scan] += 0
	}
	return taken, nil
}

// ask notes that a scan needs slots.
func (l *nodeLedger) ask(scan *v1alpha1.SIFScan, now time.Time) claim {
	if l.asked == nil {
		l.asked = map[types.UID]claim{}
	}
	c := claim{types.NamespacedName{Namespace: scan.Namespace, Name: scan.Name}, ptr.Deref(scan.Spec.Parallelism, 1), now, nil}
	l.asked[scan.UID] = c
	return c
}

// wait notes the nodes that a scan was not given.
func (l *nodeLedger) wait(scan types.UID, nodes []string) {
	c := l.asked[scan]
	c.nodes = nodes
	l.asked[scan] = c
}

// drop forgets that a scan needs slots: it is deleted, or suspended.
func (l *nodeLedger) drop(scan types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.asked, func(_ types.UID, c claim) bool { return c.scan == scan })
}

// passOn leaves the slots that a scan has no use for to the others.
func (r *Reconciler) passOn(ctx context.Context, p *pass) error {
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	delete(r.ledger.asked, p.scan.UID)
	if len(r.ledger.asked) == 0 {
		return nil
	}
	taken, err := r.atWork(ctx, p.now)
	if err != nil {
		return err
	}
	r.callOthers(p.scan.UID, taken)
	return nil
}

// callOthers brings back the scans that may have slots for their nodes now, but for the one that is looked at. They look for
// themselves every 15 s only, and a slot that became free would stand idle for as long. Two that have a node each for
// which the other waits call nobody: they would call one another without an end.
func (r *Reconciler) callOthers(looked types.UID, taken nodesAtWork) {
	for uid, c := range r.ledger.asked {
		free := func(node string) bool { return !taken.nodes[node] }
		if uid != looked && slices.ContainsFunc(c.nodes, free) && shareOf(r.Config.NodeScans.Slots, c.most, uid, taken.scans, nil).free > 0 {
			r.slots.call(c.scan)
		}
	}
}

// shareOf shares slots. most is spec.parallelism; 1 is its default, and no wish to take nodes one by one.
//
// No scan takes more than its part of all slots while others are at work, or wait for a slot.
func shareOf(slots int, most int32, scan types.UID, taken map[types.UID]int, created map[types.UID]createdJob) nodeShare {
	var s nodeShare
	for _, n := range taken {
		s.taken += n
	}
	part := max(1, slots/len(taken))
	if most > 1 {
		part = min(part, int(most))
	}
	s.free = max(0, min(slots-s.taken, part-taken[scan]))
	for _, job := range created {
		s.unseen = s.unseen || job.scan == scan
	}
	return s
}

// queued says what a scan waits for that was given none of its nodes.
func (s nodeShare) queued(nodes []string) string {
	if s.free == 0 {
		return fmt.Sprintf("other scans of running containers are at work on %s, as many as may be at a time", counted(s.taken, "node", "nodes"))
	}
	if len(nodes) == 1 {
		return fmt.Sprintf("node %s is looked at by another scan", nodes[0])
	}
	return fmt.Sprintf("nodes %s are looked at by other scans", firstNames(nodes))
}

// forgetDeleted drops Jobs that came and went between two looks at the cache.
func (r *Reconciler) forgetDeleted(ctx context.Context, now time.Time) error {
	for uid, job := range r.ledger.created {
		if now.Sub(job.at) < cacheLag {
			continue
		}
		there := &metav1.PartialObjectMetadata{}
		there.SetGroupVersionKind(batchv1.SchemeGroupVersion.WithKind("Job"))
		err := r.Live.Get(ctx, types.NamespacedName{Namespace: r.Config.NodeScans.Namespace, Name: job.name}, there)
		switch {
		case apierrors.IsNotFound(err), err == nil && there.UID != uid:
			delete(r.ledger.created, uid)
		case err != nil:
			return fmt.Errorf("read Job %s: %w", job.name, err)
		}
	}
	return nil
}

// made notes a Job that was created.
func (l *nodeLedger) made(job *batchv1.Job, scan types.UID, now time.Time) {
	if l.created == nil {
		l.created = map[types.UID]createdJob{}
	}
	l.created[job.UID] = createdJob{job.Name, job.Annotations[v1alpha1.AnnotationNode], scan, now}
}
