// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// completeLive judges a run whose nodes all have an outcome, and whose images are read where they can be.
func (r *Reconciler) completeLive(ctx context.Context, p *pass, s *survey, images *imagesInWork) error {
	if err := r.spreadReports(ctx, p, images.liveImages); err != nil {
		return err
	}
	p.countLive(images)
	h, err := r.judgeLive(ctx, p, s, images)
	if err != nil {
		return err
	}
	p.end(h)
	return nil
}

// judgeLive says what a run comes to.
func (r *Reconciler) judgeLive(ctx context.Context, p *pass, s *survey, images *imagesInWork) (health, error) {
	if h, ok := nothingListed(s); ok {
		return h, nil
	}
	if h, ok := nothingAlive(p.scan.Spec.Target.Running, s, images); ok {
		return h, nil
	}
	if p.scan.Spec.Target.Running.ListOnly {
		h := finished(v1alpha1.ReasonSucceeded, fmt.Sprintf("%s of %s alive on %s", counted(images.found, "container", "containers"),
			counted(len(images.byKey), "image", "images"), counted(p.scan.Status.Nodes.Done, "node", "nodes")))
		h.noteNodes(s)
		return h, nil
	}
	if images.unreadable != "" {
		return stalled(v1alpha1.ReasonReportUnavailable, "what came of the images is not known: "+images.unreadable+"; "+again), nil
	}
	t := newTally()
	t.targets = countImages(images)
	for _, image := range images.byKey {
		if wasRead(images.outcomes[image.report]) {
			t.reports[image.report] = struct{}{}
		}
	}
	sum := newSumming(t.reports, nil)
	if err := r.eachReport(ctx, p.scan, func(report *metav1.PartialObjectMetadata) { sum.add(report) }); err != nil {
		return health{}, err
	}
	p.scan.Status.Targets = t.targets.DeepCopy()
	if len(t.reports) > 0 {
		p.scan.Status.Summary = sum.summary.DeepCopy()
	}
	var err error
	if p.scan.Status.Worst, err = r.withTargets(ctx, p.scan.Namespace, sum.worst); err != nil {
		return health{}, err
	}
	e := evidence{settings: resolve(&p.scan.Spec), tally: t, sum: sum, now: p.now}
	h, ok := reportsMissing(e)
	if !ok {
		h, _ = wellEnded(e)
		h.partial = partialLive(t.targets)
		h.noteLost(images.lost)
		h.noteKept(s)
		h.noteNodes(s)
	}
	return h, nil
}

// nothingListed: of no node is known what runs there.
func nothingListed(s *survey) (health, bool) {
	if len(s.nodes) == 0 || s.counts().Done > 0 {
		return health{}, false
	}
	why := s.nodes[0].outcome
	message := why.message
	if len(s.nodes) > 1 {
		message = fmt.Sprintf("none of %d nodes could be looked at; the first: %s", len(s.nodes), why.message)
	}
	return stalled(why.reason, message+"; "+again), true
}

// nothingAlive: no container runs, or none that was asked for. The first is good to know, the other is
// as likely a typing error.
func nothingAlive(t *v1alpha1.RunningTarget, s *survey, images *imagesInWork) (health, bool) {
	if images.found > 0 {
		return health{}, false
	}
	on := counted(s.counts().Done, "node", "nodes")
	if t.PID != 0 || t.ImagePattern != "" || t.SlurmJobID != "" {
		return stalled(v1alpha1.ReasonNoTargets, fmt.Sprintf(
			"no container on %s is what pid, imagePattern and slurmJobID of spec.target.running ask for: correct them, or it has ended; %s", on, again)), true
	}
	h := finished(v1alpha1.ReasonNoContainers, fmt.Sprintf("no container of Apptainer or Singularity is alive on %s", on))
	h.noteNodes(s)
	return h, true
}

// countImages counts images by outcome.
func countImages(images *imagesInWork) v1alpha1.TargetCounts {
	t := newTally()
	for _, image := range images.byKey {
		outcome := images.outcomes[image.last()]
		if image.report == "" && wasRead(outcome) {
			outcome = v1alpha1.EntryFailed // what was read is another's
		}
		t.count(&v1alpha1.InventoryEntry{Outcome: outcome, Report: image.last()})
	}
	t.targets.Denied += images.keyless
	t.targets.Discovered = int32(len(images.byKey)) + images.keyless
	return t.targets
}

// partialLive says of how many images something is not known.
func partialLive(t v1alpha1.TargetCounts) string {
	var parts []string
	if t.Denied > 0 {
		parts = append(parts, counted(t.Denied, "image of live containers", "images of live containers")+" could not be opened; the ScanInventories name them")
	}
	if t.Changing > 0 {
		parts = append(parts, counted(t.Changing, "image", "images")+" changed while being read; the next run tries again")
	}
	return strings.Join(parts, "; ")
}

// noteLost adds why images could not be read on any node.
func (h *health) noteLost(lost map[string]cause) {
	if len(lost) == 0 {
		return
	}
	first := lost[slices.Min(slices.Collect(maps.Keys(lost)))]
	h.message += fmt.Sprintf("; %s read on no node that has it, the first: %s", counted(len(lost), "image was", "images were"), first.message)
}

// noteKept adds the nodes that listed their containers and could not read images. The run lacks nothing by that: what no other node read
// either is counted.
func (h *health) noteKept(s *survey) {
	var names []string
	for _, n := range s.nodes {
		if n.kept.reason != "" {
			names = append(names, n.Name+" ("+n.kept.reason+")")
		}
	}
	if len(names) > 0 {
		h.message += fmt.Sprintf("; %d of %s could not go on reading images: %s; their ScanInventories say why",
			len(names), counted(len(s.nodes), "node", "nodes"), firstNames(names))
	}
}

// noteNodes adds the nodes of which it is not known what runs there.
func (h *health) noteNodes(s *survey) {
	var names []string
	for _, n := range s.nodes {
		if !slices.Contains(listedReasons, n.outcome.reason) {
			names = append(names, n.Name+" ("+n.outcome.reason+")")
		}
	}
	if len(names) == 0 {
		return
	}
	text := fmt.Sprintf("%d of %s could not be looked at: %s; their ScanInventories say why", len(names), counted(len(s.nodes), "node", "nodes"), firstNames(names))
	h.message += "; " + text
	if h.reason != v1alpha1.ReasonDegraded {
		h.reason = v1alpha1.ReasonDegraded
	}
	if h.degraded != "" {
		text = h.degraded + "; " + text
	}
	h.degraded = text
}
