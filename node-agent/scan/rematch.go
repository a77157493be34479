// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"slices"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
)

// Archive is a Sink that gives back what is kept of earlier scans.
type Archive interface {
	// Recall returns what is kept of the last scan of a place, which gave it the identity. The error says why nothing is.
	Recall(ctx context.Context, p Place, identity string) (*handover.Recalled, error)
}

// earlier is what the API knows of a target.
type earlier struct {
	report string // its name
	was    string // the identity of what was scanned; empty: nothing was
	is     string // that of what would be scanned now; empty: nobody can tell
}

// earlier compares a target with its report.
func (r *run) earlier(ctx context.Context, t target) earlier {
	e := earlier{report: r.reportName(t.place())}
	if e.was = r.known.Reports[e.report]; e.was == "" {
		return e
	}
	if id := t.identity(ctx); id != "" {
		e.is = id + ":" + r.settings()
	}
	return e
}

// unchanged says whether the report is of this very content, made with these settings, and has all documents.
func (e earlier) unchanged() bool { return e.is != "" && covers(e.was, e.is) }

// otherDatabase says whether nothing differs of what is not unchanged but the database that packages were matched with.
func (e earlier) otherDatabase() bool {
	return e.is != "" && exceptDatabase(e.was) == exceptDatabase(e.is)
}

// rematch is scan for a target that only the database is another for: what is kept of its last scan is matched, and the
// image stays closed. It returns nil where the image has to be opened.
func (r *run) rematch(ctx context.Context, t target, e earlier) *Result {
	if !e.otherDatabase() {
		return nil
	}
	result, err := r.matchAgain(ctx, t, e)
	if err != nil {
		r.Log.Info("only the database is another, and the image is opened nevertheless", "path", t.place().Name, "why", err.Error())
		return nil
	}
	return result
}

// Why an image is opened although only the database is another.
var (
	errNoArchive = errors.New("no scan reads package lists but those on the volume of spec.reports.volume")
	errNotListed = errors.New("the engine, or spec.scanner.formats without json, leaves no package list that could be matched again")
	errDeadly    = errors.New("an earlier scanner died while it had this image in hand")
	errElsewhere = errors.New("only package lists of images on volumes are matched again")
)

func (r *run) matchAgain(ctx context.Context, t target, e earlier) (*Result, error) {
	at := t.place()
	matcher, matches := r.Engine.(engine.Rematcher)
	archive, has := r.sink.(Archive)
	switch {
	case !matches || !slices.Contains(r.Formats, engine.FormatJSON):
		return nil, errNotListed
	case !has || !r.known.Recalls:
		return nil, errNoArchive
	case r.known.Attempts[at.Name] > 0:
		return nil, errDeadly
	case at.Volume == handover.NoVolume:
		return nil, errElsewhere
	}
	kept, err := archive.Recall(ctx, at, e.was)
	if err != nil {
		return nil, err
	}
	return r.result(ctx, t, func(ctx context.Context, result *Result) error {
		result.recall(kept)
		target := r.asked(result, kept.Architecture)
		target.AtHand = kept.Documents
		found, err := matcher.Rematch(ctx, target, kept.Inventory)
		if err != nil {
			return err
		}
		result.found(found)
		result.Identity = e.is
		return nil
	})
}

// recall takes over what an earlier scan said that the image is. The rest of the target is as the file system says now.
func (r *Result) recall(kept *handover.Recalled) {
	r.Report.Target.Kind, r.Report.Target.Architecture = kept.Kind, kept.Architecture
	r.Report.Image = kept.Image
}
