// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package faults plans what is broken while scans run, and judges what is left afterwards. All of
// it is pure: test/e2e runs the scans and strikes.
package faults

import (
	"math/rand/v2"
	"time"
)

// Kind of a fault.
type Kind string

// Faults of a scan's own pods.
const (
	KillScanner  Kind = "scanner killed"
	StopScanner  Kind = "scanner stopped"
	KillReporter Kind = "reporter killed"
	StopReporter Kind = "reporter stopped"
	EvictPod     Kind = "pod evicted"
)

// Faults that only pods of node scans can have: of what hands their scanners the images.
const (
	KillOpener Kind = "opener killed"
	StopOpener Kind = "opener stopped"
)

// RemoveClaim is the fault of a volume: its PersistentVolumeClaim is deleted.
const RemoveClaim Kind = "claim removed"

// Faults that every scan feels.
const (
	KillOperator   Kind = "operator killed"
	StopOperator   Kind = "operator stopped"
	KillAPIServer  Kind = "API server killed"
	StopAPIServer  Kind = "API server stopped"
	FillDisk       Kind = "disk filled"
	KillKubelet    Kind = "kubelet killed"
	KillContainerd Kind = "containerd killed"
	KillEtcd       Kind = "etcd killed"
)

// Kinds are all of them, as a table lists them.
var Kinds = []Kind{
	KillScanner, StopScanner, KillReporter, StopReporter, KillOpener, StopOpener, EvictPod, RemoveClaim,
	KillOperator, StopOperator, KillAPIServer, StopAPIServer, FillDisk, KillKubelet, KillContainerd, KillEtcd,
}

var (
	ofPods    = []Kind{KillScanner, StopScanner, KillReporter, StopReporter, EvictPod}
	ofOpeners = []Kind{KillOpener, StopOpener}
	once      = []Kind{KillKubelet, KillContainerd, KillEtcd}
)

// OfCluster reports whether a fault is felt by every scan, and not by one alone.
func (k Kind) OfCluster() bool {
	switch k {
	case KillScanner, StopScanner, KillReporter, StopReporter, KillOpener, StopOpener, EvictPod, RemoveClaim:
		return false
	}
	return true
}

// deadly faults end a scanner that has an image in its hands, for no reason that anybody sees. An image is given up after two
// such deaths: a plan has at most one of them for each scan, so that what all feel has room, too. An eviction is none.
func (k Kind) deadly() bool { return k == KillScanner }

// Fault is one of them at its moment.
type Fault struct {
	Kind Kind
	// After the scan began: after its processes run for a fault of its pods, after it was created for any other.
	After time.Duration
	// For is how long it lasts; 0 where Kubernetes itself puts it right.
	For time.Duration
	// Reading: of a node scan's pods the one that reads images is meant, and not the one that lists containers.
	Reading bool
}

// Scan is one of the plan's.
type Scan struct {
	// Lane in which the scans run one after the other. Lanes run side by side.
	Lane int
	// Site is the volume that it reads; of a node scan, where its reports are.
	Site int
	// Doomed scans have a volume that is removed under the first of them.
	Doomed bool
	// Scheduled scans are made by a ScanSchedule.
	Scheduled bool
	// Executed: by an engine that the agent extracts images for and starts.
	Executed bool
	// Live scans read what runs on the node; Listed ones tell what runs, and read nothing.
	Live, Listed bool
	// Archived scans keep documents on a volume, and match again what they find there.
	Archived bool
	// Database is the number of the one that packages are matched with, of two.
	Database int
	// WhenChanged leaves images closed that did not change; any other scan opens all.
	WhenChanged bool
	// Replaced by another image, or Touched, are images before the scan begins, by their numbers.
	Replaced, Touched []int
	// Workers that share the images.
	Workers int32
	Faults  []Fault
}

// Plan is everything that is going to happen.
type Plan struct {
	Seed  uint64
	Scans []Scan
	// Lanes and Sites are how many there are.
	Lanes, Sites int
}

// Whole is the number of scans from which on a plan has every kind of fault. A shorter one leaves the
// disk, kubelet, containerd and etcd alone.
const Whole = 50

// The lanes of special scans; those of any other come after them.
const (
	doomedLane = iota
	scheduledLane
	executedLane
	liveLane
	archiveLane
	specialLanes
)

// New returns the plan of a seed: the same for the same seed and number of scans.
func New(seed uint64, scans int) Plan {
	p := &planner{rng: rand.New(rand.NewPCG(seed, uint64(scans))), whole: scans >= Whole, bags: map[bool][]Kind{}}
	p.plan = Plan{Seed: seed, Lanes: specialLanes + 1}
	if p.whole {
		p.plan.Lanes += 3
	}
	removals := max(1, scans/40)
	p.plan.Sites = p.plan.Lanes - 1
	for range removals {
		p.remove()
	}
	for i := range max(0, scans-2*removals) {
		others := p.plan.Lanes - 1
		p.scan(scheduledLane+i%others, i/others)
	}
	p.breakAll()
	return p.plan
}

type planner struct {
	rng   *rand.Rand
	whole bool
	plan  Plan
	// bags of the faults of pods, so that all kinds come equally often; true is that of node scans.
	bags map[bool][]Kind
}

// remove adds two scans of a volume that goes away under the first.
func (p *planner) remove() {
	site := p.plan.Sites
	p.plan.Sites++
	p.plan.Scans = append(p.plan.Scans,
		Scan{Lane: doomedLane, Site: site, Doomed: true, Workers: 1, Faults: []Fault{{Kind: RemoveClaim, After: p.upTo(8 * time.Second)}}},
		Scan{Lane: doomedLane, Site: site, Doomed: true, Workers: 1})
}

// scan adds a scan, the nth of its lane, with the faults of its own pods.
func (p *planner) scan(lane, nth int) {
	s := Scan{Lane: lane, Site: lane - 1, Workers: 1}
	switch lane {
	case scheduledLane:
		s.Scheduled, s.WhenChanged = true, true // as all of its ScanSchedule
	case executedLane:
		s.Executed, s.WhenChanged = true, p.rng.IntN(2) == 0
	case liveLane:
		s.Live, s.WhenChanged = true, true
		s.Listed = nth%3 == 2
	case archiveLane:
		s.Archived, s.WhenChanged, s.Database = true, true, nth%2
		s.Workers += p.rng.Int32N(3)
	default:
		s.WhenChanged = p.rng.IntN(2) == 0
		s.Workers += p.rng.Int32N(4)
	}
	if nth > 0 {
		p.change(&s)
	}
	p.strikePods(&s)
	p.plan.Scans = append(p.plan.Scans, s)
}

// change has about half of the images change before a scan. What runs cannot be replaced: it would not run on.
func (p *planner) change(s *Scan) {
	images := Images
	if s.Live {
		images = LiveImages
	}
	for i := range images {
		switch n := p.rng.IntN(4); {
		case n == 0 && !s.Live:
			s.Replaced = append(s.Replaced, i)
		case n == 1:
			s.Touched = append(s.Touched, i)
		}
	}
}

// strikePods adds the faults of a scan's own pods.
func (p *planner) strikePods(s *Scan) {
	deadly := false
	faults := []int{0, 1, 1, 2, 2}[p.rng.IntN(5)]
	if s.Live { // of which there are few
		faults = max(faults, 1)
	}
	for range faults {
		kind := p.draw(s.Live)
		for deadly && kind.deadly() {
			kind = p.draw(s.Live)
		}
		deadly = deadly || kind.deadly()
		f := Fault{Kind: kind, After: p.upTo(1500 * time.Millisecond)}
		if s.Live { // which has no share of a processor to itself, and is over the sooner
			f.After /= 4
			f.Reading = !s.Listed && p.rng.IntN(2) == 0
		}
		if kind == StopScanner || kind == StopReporter || kind == StopOpener {
			f.For = 500*time.Millisecond + p.upTo(4*time.Second)
		}
		s.Faults = append(s.Faults, f)
	}
}

func (p *planner) draw(live bool) Kind {
	if len(p.bags[live]) == 0 {
		if live { // first, so that a plan of Whole scans has them
			p.fill(live, ofOpeners)
		}
		p.fill(live, ofPods)
	}
	kind := p.bags[live][0]
	p.bags[live] = p.bags[live][1:]
	return kind
}

func (p *planner) fill(live bool, kinds []Kind) {
	for _, i := range p.rng.Perm(len(kinds)) {
		p.bags[live] = append(p.bags[live], kinds[i])
	}
}

// breakAll spreads what every scan feels over the scans, one each.
func (p *planner) breakAll() {
	var kinds []Kind
	if p.whole {
		for range len(p.plan.Scans) / Whole {
			kinds = append(kinds, KillOperator, StopOperator, KillAPIServer, StopAPIServer, FillDisk)
		}
		kinds = append(kinds, once...)
	} else {
		kinds = []Kind{
			[]Kind{KillOperator, StopOperator}[p.rng.IntN(2)],
			[]Kind{KillAPIServer, StopAPIServer}[p.rng.IntN(2)],
		}
	}
	var sound []int
	for i, s := range p.plan.Scans {
		if !s.Doomed {
			sound = append(sound, i)
		}
	}
	order := p.rng.Perm(len(sound))
	for i, kind := range kinds[:min(len(kinds), len(sound))] {
		s := &p.plan.Scans[sound[order[i]]]
		s.Faults = append(s.Faults, Fault{Kind: kind, After: p.upTo(8 * time.Second), For: p.lasts(kind)})
	}
}

// Takeover is the longest that the operator's other replica waits for one that says nothing: until its lease is over,
// which the other last saw renewed up to 4.4 s late and asks for every 4.4 s at most (leaderelection's defaults of 15 s,
// and of 2 s with a jitter of 1.2); the rest is for an API server that is busy.
const Takeover = 30 * time.Second

// lasts is how long a fault lasts that every scan feels. An operator that is stopped for long finds another at its work,
// and for a short time none. Kubelet looks at its disk every 10 s.
func (p *planner) lasts(kind Kind) time.Duration {
	switch kind {
	case KillOperator:
		return 0
	case StopOperator:
		if p.rng.IntN(2) == 0 {
			return Takeover + p.upTo(5*time.Second)
		}
		return time.Second + p.upTo(9*time.Second)
	case FillDisk:
		return time.Second + p.upTo(14*time.Second)
	}
	return time.Second + p.upTo(5*time.Second)
}

// upTo is a time below most, in milliseconds.
func (p *planner) upTo(most time.Duration) time.Duration {
	return time.Duration(p.rng.Int64N(most.Milliseconds())) * time.Millisecond
}

// Count is how often each kind of fault is in the plan.
func (p Plan) Count() map[Kind]int {
	n := map[Kind]int{}
	for _, s := range p.Scans {
		for _, f := range s.Faults {
			n[f.Kind]++
		}
	}
	return n
}

// Lane returns the scans of a lane, in their order.
func (p Plan) Lane(lane int) []Scan {
	var all []Scan
	for _, s := range p.Scans {
		if s.Lane == lane {
			all = append(all, s)
		}
	}
	return all
}
