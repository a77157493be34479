// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"bytes"
	"context"
	"crypto/sha256"
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
	if have := r.onShelf(ctx, name, e.Identity, place); have != nil {
		if kept, err = r.keptOf(ctx, place, have); err == nil {
			r.last, r.whole = have, have
			return kept, nil
		}
	}
	have, err := r.lastReport(ctx, name, e.Identity)
	if err != nil {
		return kept, err
	}
	if kept, err = r.keptOf(ctx, place, have); err == nil {
		r.last, r.whole = have, nil
	}
	return kept, err
}

// keptOf is what the volume has of a report's image.
func (r *Reporter) keptOf(ctx context.Context, place tree.Place, have *v1alpha1.ScanReport) (kept handover.Recalled, err error) {
	kept.Inventory, err = within(ctx, r.shelf, func() ([]byte, error) { return readArtifact(r.shelf.tree, place, have, engine.InventoryFile) })
	if err != nil {
		return kept, err
	}
	if kept.Documents, err = r.atHand(ctx, place, have); err != nil {
		return kept, err
	}
	body := v1alpha1.Report{Target: have.Report.Target, Image: have.Report.Image.DeepCopy()}
	report.Bound(&body)
	kept.Kind, kept.Architecture, kept.Image = body.Target.Kind, body.Target.Architecture, body.Image
	return kept, nil
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

// atHand names the documents of a report that are on the shelf, in the size that it says. That they are what it says is looked
// at when they are taken over.
func (r *Reporter) atHand(ctx context.Context, at tree.Place, of *v1alpha1.ScanReport) (names []string, err error) {
	var all []string
	for _, d := range documents {
		all = append(all, d.name)
	}
	sizes, err := within(ctx, r.shelf, func() (map[string]int64, error) { return r.shelf.tree.Sizes(at, all) })
	for _, name := range all {
		a, _, err := artifactAt(of, name, r.shelf.tree.VolumePath(at, name))
		if size, is := sizes[name]; err == nil && is && size == a.SizeBytes {
			names = append(names, name)
		}
	}
	return names, err
}

// readArtifact reads a document of the folder at a place, which must be the one that the report
// names: others may write to the volume, and nobody but a reporter to the report.
func readArtifact(t *tree.Tree, at tree.Place, of *v1alpha1.ScanReport, name string) ([]byte, error) {
	want, sum, err := artifactAt(of, name, t.VolumePath(at, name))
	if err != nil {
		return nil, err
	}
	if want.SizeBytes < 0 || want.SizeBytes > engine.MaxInventory {
		return nil, fmt.Errorf("the %d bytes of %s are more than the %d that are read", want.SizeBytes, name, engine.MaxInventory)
	}
	return readIntact(t, at, name, want.SizeBytes, want.SizeBytes, sum)
}

// readIntact reads a file of the folder at a place that has a SHA-256, and at most limit bytes, probably as many as expected.
func readIntact(t *tree.Tree, at tree.Place, name string, expected, limit int64, sum [sha256.Size]byte) ([]byte, error) {
	f, err := t.Open(at, name, limit)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := bytes.NewBuffer(make([]byte, 0, expected+bytes.MinRead)) // ReadFrom then needs no second one
	if _, err := text.ReadFrom(f); err != nil {
		return nil, err
	}
	if sha256.Sum256(text.Bytes()) != sum {
		return nil, fmt.Errorf("%s is not what its ScanReport says: somebody changed it", name)
	}
	return text.Bytes(), nil
}
