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
	KillScanner, StopScanner, KillReporter, StopReporter, EvictPod, RemoveClaim,
	KillOperator, StopOperator, KillAPIServer, StopAPIServer, FillDisk, KillKubelet, KillContainerd, KillEtcd,
}

var (
	ofPods = []Kind{KillScanner, StopScanner, KillReporter, StopReporter, EvictPod}
	once   = []Kind{KillKubelet, KillContainerd, KillEtcd}
)

// OfCluster reports whether a fault is felt by every scan, and not by one alone.
func (k Kind) OfCluster() bool {
	switch k {
	case KillScanner, StopScanner, KillReporter, StopReporter, EvictPod, RemoveClaim:
		return false
	}
	return true
}

// deadly faults end a scanner that has an image in its hands. An image is given up after two such
// deaths: a plan has at most one of them for each scan, so that what all feel has room, too.
func (k Kind) deadly() bool { return k == KillScanner || k == EvictPod }

// Fault is one of them at its moment.
type Fault struct {
	Kind Kind
	// After the scan began: after its processes run for a fault of its pods, after it was created for any other.
	After time.Duration
	// For is how long it lasts; 0 where Kubernetes itself puts it right.
	For time.Duration
}

// Scan is one of the plan's.
type Scan struct {
	// Lane in which the scans run one after the other. Lanes run side by side.
	Lane int
	// Site is the volume that it reads.
	Site int
	// Doomed scans have a volume that is removed under the first of them.
	Doomed bool
	// Scheduled scans are made by a ScanSchedule.
	Scheduled bool
	// Executed: by an engine that the agent extracts images for and starts.
	Executed bool
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
	specialLanes
)

// New returns the plan of a seed: the same for the same seed and number of scans.
func New(seed uint64, scans int) Plan {
	p := &planner{rng: rand.New(rand.NewPCG(seed, uint64(scans))), whole: scans >= Whole}
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
		p.scan(scheduledLane + i%(p.plan.Lanes-1))
	}
	p.breakAll()
	return p.plan
}

type planner struct {
	rng   *rand.Rand
	whole bool
	plan  Plan
	// bag of the faults of pods, so that all kinds come equally often.
	bag []Kind
}

// remove adds two scans of a volume that goes away under the first.
func (p *planner) remove() {
	site := p.plan.Sites
	p.plan.Sites++
	p.plan.Scans = append(p.plan.Scans,
		Scan{Lane: doomedLane, Site: site, Doomed: true, Workers: 1, Faults: []Fault{{RemoveClaim, p.upTo(8 * time.Second), 0}}},
		Scan{Lane: doomedLane, Site: site, Doomed: true, Workers: 1})
}

// scan adds a scan, with the faults of its own pods.
func (p *planner) scan(lane int) {
	s := Scan{Lane: lane, Site: lane - 1, Scheduled: lane == scheduledLane, Executed: lane == executedLane, Workers: 1}
	if lane >= specialLanes {
		s.Workers += p.rng.Int32N(3)
	}
	deadly := false
	for range []int{0, 1, 1, 2, 2}[p.rng.IntN(5)] {
		kind := p.draw()
		for deadly && kind.deadly() {
			kind = p.draw()
		}
		deadly = deadly || kind.deadly()
		f := Fault{Kind: kind, After: p.upTo(1500 * time.Millisecond)}
		if kind == StopScanner || kind == StopReporter {
			f.For = 500*time.Millisecond + p.upTo(4*time.Second)
		}
		s.Faults = append(s.Faults, f)
	}
	p.plan.Scans = append(p.plan.Scans, s)
}

func (p *planner) draw() Kind {
	if len(p.bag) == 0 {
		for _, i := range p.rng.Perm(len(ofPods)) {
			p.bag = append(p.bag, ofPods[i])
		}
	}
	kind := p.bag[0]
	p.bag = p.bag[1:]
	return kind
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

// lasts is how long a fault lasts that every scan feels. The operator's lease is valid for 15 s, and it gives up
// after 10 s without an API server; kubelet looks at its disk every 10 s.
func (p *planner) lasts(kind Kind) time.Duration {
	switch kind {
	case KillOperator:
		return 0
	case StopOperator:
		return time.Second + p.upTo(19*time.Second)
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
