// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"fmt"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/reporter/tree"
)

// recalls tells whether package lists can be given back. ConfigMaps are written by a scan and never
// read: RBAC grants no reading by a name's prefix, and admission sees no reads.
func (r *Reporter) recalls() bool {
	return r.shelf != nil && r.opts.Rescan != v1alpha1.RescanAlways
}

// recall gives the scanner what is kept of a target's last scan, or tells why nothing is: the image
// is then opened.
func (r *Reporter) recall(ctx context.Context, e handover.Event) error {
	if e.Recall <= 0 || r.hand.AnsweredRecall(e.Recall) {
		return nil // no question, or answered by this container before it was started anew
	}
	kept, err := r.recalled(ctx, e)
	if err == nil {
		err = r.hand.GiveBack(e.Recall, kept)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	r.log.Info("no package list is given back", "path", e.Path, "why", reasonOf(err))
	return r.hand.Ack(handover.Ack{Recall: e.Recall, Error: reasonOf(err)})
}

func (r *Reporter) recalled(ctx context.Context, e handover.Event) (kept handover.Recalled, err error) {
	if !r.recalls() {
		return kept, errors.New("the reporter of this scan reads none")
	}
	at, err := r.holderOf(e)
	if err != nil {
		return kept, err
	}
	name := at.subject.Name()
	place := tree.PlaceOf(at.claim, at.subject.Path, name)
	if meant, ok := r.onShelf(name, e.Identity); ok {
		type found struct {
			report *v1alpha1.ScanReport
			kept   handover.Recalled
		}
		got, err := within(ctx, r.shelf, func() (f found, err error) {
			err = r.shelf.tree.Visit(place, func(k *tree.Kept) error {
				if f.report, err = meant.read(k); err == nil {
					f.kept, err = r.shelf.keptOf(k, place, f.report)
				}
				return err
			})
			return f, err
		})
		if err == nil {
			r.last, r.whole = got.report, got.report
			return got.kept, nil
		}
	}
	have, err := r.lastReport(ctx, name, e.Identity)
	if err != nil {
		return kept, err
	}
	kept, err = within(ctx, r.shelf, func() (kept handover.Recalled, err error) {
		err = r.shelf.tree.Visit(place, func(k *tree.Kept) error {
			kept, err = r.shelf.keptOf(k, place, have)
			return err
		})
		return kept, err
	})
	if err == nil {
		r.last, r.whole = have, nil
	}
	return kept, err
}

// keptOf is what a folder has of the image of a report. Its inventory is there until the next one is read.
func (s *shelf) keptOf(k *tree.Kept, place tree.Place, have *v1alpha1.ScanReport) (kept handover.Recalled, err error) {
	want, sum, err := artifactAt(have, engine.InventoryFile, s.tree.VolumePath(place, engine.InventoryFile))
	switch {
	case err != nil:
		return kept, err
	case want.SizeBytes < 0 || want.SizeBytes > engine.MaxInventory:
		return kept, fmt.Errorf("the %d bytes of %s are more than the %d that are read", want.SizeBytes, want.Name, engine.MaxInventory)
	}
	if s.inventory, err = k.Text(want.Name, want.SizeBytes, sum, s.inventory); err != nil {
		return kept, err
	}
	body := v1alpha1.Report{Target: have.Report.Target, Image: have.Report.Image.DeepCopy()}
	report.Bound(&body)
	return handover.Recalled{
		Kind: body.Target.Kind, Architecture: body.Target.Architecture, Image: body.Image,
		Inventory: s.inventory, Documents: s.atHand(k, place, have),
	}, nil
}

// lastReport is the report of the scan that gave its image the identity, with its documents on this shelf.
func (r *Reporter) lastReport(ctx context.Context, name, identity string) (*v1alpha1.ScanReport, error) {
	if _, known := r.known[name]; !known {
		return nil, errors.New("its report is not known")
	}
	have, err := r.getReport(ctx, name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read ScanReport %s: %w", name, err)
	case have == nil:
		return nil, fmt.Errorf("ScanReport %s is gone", name)
	case identity == "" || have.Annotations[v1alpha1.AnnotationIdentity] != identity,
		have.Annotations[v1alpha1.AnnotationOutcome] != v1alpha1.OutcomeScanned,
		have.Annotations[v1alpha1.AnnotationStore] != r.opts.store():
		return nil, fmt.Errorf("ScanReport %s is of another scan by now", name)
	}
	return have, nil
}

// atHand names the documents of a report that are in its folder, in the size that it says. That they are what it says is looked
// at when they are taken over.
func (s *shelf) atHand(k *tree.Kept, place tree.Place, of *v1alpha1.ScanReport) (names []string) {
	sizes := k.Sizes(documentNames())
	for _, name := range documentNames() {
		a, _, err := artifactAt(of, name, s.tree.VolumePath(place, name))
		if size, is := sizes[name]; err == nil && is && size == a.SizeBytes {
			names = append(names, name)
		}
	}
	return names
}

func documentNames() (names []string) {
	for _, d := range documents {
		names = append(names, d.name)
	}
	return names
}
