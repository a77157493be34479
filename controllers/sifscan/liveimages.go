// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// nodeInventoryPage is how many inventories of nodes are read at once. Most nodes have a few
// containers; 25 of the largest take 17 MiB.
const nodeInventoryPage = 25

// maxKeys is how many images one Job reads: its arguments stay below 20 KiB.
const maxKeys = 250

// maxImages is how many images one run reads at most; nodeContainers is how many containers the agent tells of a node.
// An image takes 350 bytes of the operator's memory, and whoever may write ScanInventories in the SIFScan's namespace
// could name any number.
const (
	maxImages      = 100_000
	nodeContainers = 10_000
)

// mostImages is how many images there can be on nodes.
func mostImages(nodes int) int { return min(maxImages, nodes*nodeContainers) }

// imageKey is the form of a key. Inventories are in the SIFScan's namespace: what stands there may be
// anybody's, and becomes an argument.
var imageKey = regexp.MustCompile(`^v1-[0-9a-f]{16,64}$`)

// liveImages are the images of the containers that the inventories of a run list.
type liveImages struct {
	// found containers.
	found int32
	// keyless are groups of containers of which nothing tells what they were started from.
	keyless int32
	byKey   map[string]*liveImage
	// outcomes by report, of the images that were read in this run.
	outcomes map[string]v1alpha1.EntryOutcome
	chunks   int32
	// unreadable says which inventory's entries cannot be read, and why.
	unreadable string
}

type liveImage struct {
	// holders are the workers whose node has a container of the image, ascending.
	holders []int32
	// report of the image; empty until one holder has read it.
	report string
	// vain is a report of who tried to read it and could not.
	vain string
}

// last is the report to refer to when nobody is left who could read the image.
func (i *liveImage) last() string { return cmp.Or(i.report, i.vain) }

func newLiveImages() *liveImages {
	return &liveImages{byKey: map[string]*liveImage{}, outcomes: map[string]v1alpha1.EntryOutcome{}}
}

// merge counts what an inventory of a worker tells.
func (l *liveImages) merge(worker int32, part *inventoryPart) {
	l.chunks++
	l.unreadable = cmp.Or(part.unreadable, l.unreadable)
	for report, outcome := range part.outcomes {
		noteOutcome(l.outcomes, report, outcome)
	}
	increase(&l.found, part.found)
	increase(&l.keyless, part.keyless)
	for _, i := range part.images {
		image := l.byKey[i.key]
		if image == nil {
			image = &liveImage{}
			l.byKey[i.key] = image
		}
		if !slices.Contains(image.holders, worker) {
			image.holders = append(image.holders, worker)
			slices.Sort(image.holders)
		}
		image.report, image.vain = cmp.Or(image.report, i.report), cmp.Or(image.vain, i.vain)
	}
}

// noteOutcome notes what came of a report's image. Nodes that have the same file write the same report: that one could not
// read it says nothing where another could.
func noteOutcome(outcomes map[string]v1alpha1.EntryOutcome, report string, outcome v1alpha1.EntryOutcome) {
	if !wasRead(outcomes[report]) {
		outcomes[report] = outcome
	}
}

// count is how many images are remembered, or reports of images.
func (l *liveImages) count() int { return max(len(l.byKey), len(l.outcomes)) }

func wasRead(outcome v1alpha1.EntryOutcome) bool {
	return outcome == v1alpha1.EntryScanned || outcome == v1alpha1.EntryUnchanged
}

// eachNodeInventory calls fn with every ScanInventory of a run, or with those that are selected, and the worker whose it
// is. They are read past the cache: they grow with what runs.
func (r *Reconciler) eachNodeInventory(ctx context.Context, p *pass, fn func(int32, *v1alpha1.ScanInventory) error, only ...client.ListOption) error {
	base := JobName(p.scan.Name, p.run)
	return eachPage(ctx, r.Live, "ScanInventories of run "+p.run, nodeInventoryPage, inventoryList, func(page *v1alpha1.ScanInventoryList) error {
		for i := range page.Items {
			if worker, _, ok := parseInventoryName(base, page.Items[i].Name); ok {
				if err := fn(worker, &page.Items[i]); err != nil {
					return err
				}
			}
		}
		return nil
	}, append(only, client.InNamespace(p.scan.Namespace), ofRun(p))...)
}

// readingPlan is the work of phase two as it stands.
type readingPlan struct {
	// work to give out now: keys by worker, where one that has no Job is to have one.
	work map[int32][]string
	// waiting images are being read, or wait for their node.
	waiting int
	// lost images could not be read on any node that has them, with what was last in the way.
	lost map[string]cause
}

// planReading chooses, for each image that has no report, one of the nodes that have it: one that has not
// tried yet, with the least to do. fit says what speaks against a node now, or that it has to wait.
func planReading(images *liveImages, s *survey, fit func(*nodeState) (cause, bool)) readingPlan {
	plan := readingPlan{work: map[int32][]string{}, lost: map[string]cause{}}
	for _, key := range slices.Sorted(maps.Keys(images.byKey)) {
		image := images.byKey[key]
		if image.report != "" {
			continue
		}
		worker, why, waits := chooseHolder(key, image, s, plan.work, fit)
		switch {
		case waits:
			plan.waiting++
		case worker < 0:
			plan.lost[key] = why
		default:
			plan.work[worker] = append(plan.work[worker], key)
		}
	}
	return plan
}

// chooseHolder returns the worker that is to read an image next; -1 where none is left, with the reason of the
// last that was tried; or true where the image waits.
func chooseHolder(key string, image *liveImage, s *survey, work map[int32][]string, fit func(*nodeState) (cause, bool)) (int32, cause, bool) {
	best, why, waits := int32(-1), cause{v1alpha1.ReasonNoTargets, "the containers of the image ended before it was read"}, false
	for _, holder := range image.holders {
		if int(holder) >= len(s.nodes) {
			continue
		}
		n := s.nodes[holder]
		tried, running := n.triedReading(key)
		switch {
		case running:
			return -1, cause{}, true
		case tried != nil:
			if v := tried.verdict(); v.reason != v1alpha1.ReasonSucceeded && v.reason != v1alpha1.ReasonNoTargets {
				why = v
			}
			continue
		case !slices.Contains(listedReasons, n.outcome.reason):
			why = n.outcome
			continue
		case n.kept.reason != "":
			why = n.kept
			continue
		}
		if objection, wait := fit(n); objection.reason != "" {
			why = objection
			continue
		} else if wait || n.busy() || len(work[holder]) >= maxKeys {
			waits = true
			continue
		}
		if best < 0 || len(work[holder]) < len(work[best]) {
			best = holder
		}
	}
	if best >= 0 {
		return best, cause{}, false
	}
	return -1, why, waits
}

// triedReading returns the Job that tried to read an image on this node, and whether one is at it.
func (n *nodeState) triedReading(key string) (tried *nodeTask, running bool) {
	for _, t := range n.reading {
		if !slices.Contains(t.keys(), key) {
			continue
		}
		if _, over := t.over(); !over {
			return nil, true
		}
		tried = t
	}
	return tried, false
}

// nodeIndex is the cluster's nodes by name.
func nodeIndex(list *corev1.NodeList) map[string]*corev1.Node {
	index := make(map[string]*corev1.Node, len(list.Items))
	for i := range list.Items {
		index[list.Items[i].Name] = &list.Items[i]
	}
	return index
}
