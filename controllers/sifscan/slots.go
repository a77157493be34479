// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Slots are how many scans may be at work at a time. 0: any number.
type Slots struct {
	// Total of the operator.
	Total int
	// PerNamespace is for each namespace.
	PerNamespace int
	// PerVolume is for each PersistentVolumeClaim that is scanned.
	PerVolume int
}

// load is what a scan at work takes slots of.
type load struct {
	scan types.NamespacedName
	uid  types.UID
	// volumes are the claims that it reads, sorted, each once.
	volumes []string
}

// slots know which scans are at work, and whose turn it is among those that wait. They are kept by
// the one process that creates Jobs (leader election sees to that), begin with what the API server
// has (countLive), and lag behind the cluster only in giving slots back: what a stale cache shows or
// hides never makes room.
type slots struct {
	mu     sync.Mutex
	limits Slots
	// counted: what earlier operators left at work is among held.
	counted bool
	// held are the scans at work, and those whose turn it is and that were woken for it.
	held       map[types.NamespacedName]load
	namespaces map[string]int
	volumes    map[types.NamespacedName]int
	// yielded is the Job with which a scan gave its slot up.
	yielded map[types.NamespacedName]types.UID
	// waiting by scan, and the same by namespace, in lines of one set of volumes each: whether the first
	// of a line fits decides for all of it.
	waiting map[types.NamespacedName]*waiter
	lines   map[string]map[string]*line
	// served says when a namespace that has scans had its last turn, as a count of turns.
	served map[string]uint64
	turn   uint64
	// wake brings a scan back whose turn it is.
	wake func(types.NamespacedName)
}

type waiter struct {
	load
	since time.Time
	gone  bool
}

func newSlots(limits Slots) *slots {
	return &slots{
		limits: limits,
		held:   map[types.NamespacedName]load{}, namespaces: map[string]int{}, volumes: map[types.NamespacedName]int{},
		yielded: map[types.NamespacedName]types.UID{},
		waiting: map[types.NamespacedName]*waiter{}, lines: map[string]map[string]*line{}, served: map[string]uint64{},
		wake: func(types.NamespacedName) {},
	}
}

// wakeWith says how scans are brought back whose turn it is.
func (s *slots) wakeWith(wake func(types.NamespacedName)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = wake
}

// call brings a scan back.
func (s *slots) call(scan types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake(scan)
}

// take gives a scan a slot, or a place in the line and the words for which slot it waits.
func (s *slots) take(l load, since time.Time) (waits string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.yielded, l.scan)
	if _, mine := s.held[l.scan]; mine {
		return "", true
	}
	s.enter(&waiter{load: l, since: since})
	s.dispatch(l.scan)
	if _, mine := s.held[l.scan]; mine {
		return "", true
	}
	return s.full(l), false
}

// hold counts a scan that is at work, whether there is room for it or not.
func (s *slots) hold(l load) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(l.scan)
	s.count(l)
}

// release gives the slot of a scan back, or its place in the line, and wakes those whose turn it is then.
func (s *slots) release(scan types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(scan)
	s.discount(scan)
	s.dispatch(types.NamespacedName{})
}

// yield gives the slot up of a scan whose Job is waiting for the cluster and not at work, where
// somebody waits for one. It reports whether anybody does.
func (s *slots) yield(scan types.NamespacedName, job types.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return false
	}
	s.yielded[scan] = job
	s.discount(scan)
	s.dispatch(types.NamespacedName{})
	return true
}

// gaveUp reports whether a scan gave its slot up with this Job, which a cache may still show.
func (s *slots) gaveUp(scan types.NamespacedName, job types.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return job != "" && s.yielded[scan] == job
}

// gone forgets what is remembered of a deleted scan besides its slot.
func (s *slots) gone(scan types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.yielded, scan)
}

// of returns the UID of a scan that has a slot or a place in the line; false: it has neither.
func (s *slots) of(scan types.NamespacedName) (types.UID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, holds := s.held[scan]; holds {
		return l.uid, true
	}
	if w, waits := s.waiting[scan]; waits {
		return w.uid, true
	}
	return "", false
}

// dispatch gives every free slot to whose turn it is, and wakes all but the one that is asking.
func (s *slots) dispatch(asking types.NamespacedName) {
	for w := s.next(); w != nil; w = s.next() {
		s.leave(w.scan)
		s.count(w.load)
		s.turn++
		s.served[w.scan.Namespace] = s.turn
		if w.scan != asking {
			s.wake(w.scan)
		}
	}
}

// next is whose turn it is: of the namespaces that have a scan that fits, the one that was served
// longest ago; in it the scan that waits longest. Nil: nobody fits.
func (s *slots) next() (first *waiter) {
	if beyond(len(s.held), s.limits.Total) {
		return nil
	}
	for namespace, lines := range s.lines {
		if beyond(s.namespaces[namespace], s.limits.PerNamespace) {
			continue
		}
		for _, line := range lines {
			w := line.first()
			if s.volumeFull(w.load) == "" && (first == nil || s.before(w, first)) {
				first = w
			}
		}
	}
	return first
}

func (s *slots) before(a, b *waiter) bool {
	if ta, tb := s.served[a.scan.Namespace], s.served[b.scan.Namespace]; ta != tb {
		return ta < tb
	}
	return earlier(a, b)
}

// full names the slot that a scan waits for.
func (s *slots) full(l load) string {
	switch volume := s.volumeFull(l); {
	case volume != "":
		return fmt.Sprintf("%d of %d scans of claim %s in Namespace %s are at work (--max-scans-per-volume)",
			s.limits.PerVolume, s.limits.PerVolume, volume, l.scan.Namespace)
	case beyond(s.namespaces[l.scan.Namespace], s.limits.PerNamespace):
		return fmt.Sprintf("%d of %d scans of Namespace %s are at work (--max-scans-per-namespace)",
			s.limits.PerNamespace, s.limits.PerNamespace, l.scan.Namespace)
	}
	return fmt.Sprintf("%d of %d scans of the operator are at work (--max-scans)", s.limits.Total, s.limits.Total)
}

// volumeFull is the first claim of a scan that no further scan may read; empty: there is none.
func (s *slots) volumeFull(l load) string {
	for _, claim := range l.volumes {
		if beyond(s.volumes[l.volume(claim)], s.limits.PerVolume) {
			return claim
		}
	}
	return ""
}

func (l load) volume(claim string) types.NamespacedName {
	return types.NamespacedName{Namespace: l.scan.Namespace, Name: claim}
}

func beyond(n, limit int) bool { return limit > 0 && n >= limit }

func (s *slots) count(l load) {
	if _, mine := s.held[l.scan]; mine {
		return
	}
	s.held[l.scan] = l
	s.namespaces[l.scan.Namespace]++
	for _, claim := range l.volumes {
		s.volumes[l.volume(claim)]++
	}
}

func (s *slots) discount(scan types.NamespacedName) {
	l, mine := s.held[scan]
	if !mine {
		return
	}
	delete(s.held, scan)
	decrease(s.namespaces, scan.Namespace)
	for _, claim := range l.volumes {
		decrease(s.volumes, l.volume(claim))
	}
	s.forget(scan.Namespace)
}

// decrease keeps no zeros, or the map would remember every name there ever was.
func decrease[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// enter puts a scan into its line, once.
func (s *slots) enter(w *waiter) {
	if _, waits := s.waiting[w.scan]; waits {
		return
	}
	s.waiting[w.scan] = w
	lines := s.lines[w.scan.Namespace]
	if lines == nil {
		lines = map[string]*line{}
		s.lines[w.scan.Namespace] = lines
	}
	key := strings.Join(w.volumes, " ")
	if lines[key] == nil {
		lines[key] = &line{}
	}
	heap.Push(lines[key], w)
}

// leave takes a scan out of its line.
func (s *slots) leave(scan types.NamespacedName) {
	w, waits := s.waiting[scan]
	if !waits {
		return
	}
	delete(s.waiting, scan)
	w.gone = true
	lines, key := s.lines[scan.Namespace], strings.Join(w.volumes, " ")
	if lines[key].first() == nil {
		delete(lines, key)
	}
	if len(lines) == 0 {
		delete(s.lines, scan.Namespace)
	}
	s.forget(scan.Namespace)
}

// forget drops the turns of a namespace that has no scan left.
func (s *slots) forget(namespace string) {
	if s.lines[namespace] == nil && s.namespaces[namespace] == 0 {
		delete(s.served, namespace)
	}
}

// line is a heap of waiters, who waits longest first. Those who left are removed when they come to the front.
type line []*waiter

func (l *line) first() *waiter {
	for len(*l) > 0 && (*l)[0].gone {
		heap.Pop(l)
	}
	if len(*l) == 0 {
		return nil
	}
	return (*l)[0]
}

func (l line) Len() int           { return len(l) }
func (l line) Less(i, j int) bool { return earlier(l[i], l[j]) }
func (l line) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *line) Push(w any)        { *l = append(*l, w.(*waiter)) }
func (l *line) Pop() any {
	last := len(*l) - 1
	w := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	return w
}

// earlier orders waiters by time, which the API resolves to seconds, and then by name.
func earlier(a, b *waiter) bool {
	if !a.since.Equal(b.since) {
		return a.since.Before(b.since)
	}
	return slices.Compare([]string{a.scan.Namespace, a.scan.Name}, []string{b.scan.Namespace, b.scan.Name}) < 0
}
