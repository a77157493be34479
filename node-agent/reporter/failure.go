// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"cmp"
	"context"
	"fmt"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// failed notes an image whose result cannot be stored, for the reason why. Its report says so: one of an earlier scan would
// go on to say that all is well. Where the API server takes not even that, the inventory says it of the first such image.
func (r *Reporter) failed(ctx context.Context, e handover.Event, why error) error {
	r.log.Error(why, "a result cannot be stored", "path", e.Path)
	name, err := r.storeFailure(ctx, e, why)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return err
	default:
		r.log.Error(err, "nor can a report that says so", "path", e.Path)
		r.inventory.refused(e.Path, why)
	}
	r.inventory.entry(e.Path, v1alpha1.EntryFailed, name)
	return nil
}

// storeFailure stores a report that says of an image why its result is not stored, and nothing else. It returns its name.
func (r *Reporter) storeFailure(ctx context.Context, e handover.Event, why error) (string, error) {
	files, err := r.hand.Open(e.Folder)
	if err != nil {
		return "", err
	}
	defer files.Close()
	said, err := readReport(files)
	if err != nil {
		return "", err
	}
	e.Outcome, e.Identity = v1alpha1.EntryFailed, ""
	want, _, err := r.scanReport(e, &v1alpha1.ScanReport{Report: v1alpha1.Report{
		Target:     said.Report.Target,
		Scanner:    v1alpha1.ReportScanner{Version: said.Report.Scanner.Version},
		ObservedAt: said.Report.ObservedAt,
		Outcome:    v1alpha1.Outcome{Reason: v1alpha1.ReasonReportUnavailable, Message: "the image was read, and its result cannot be stored: " + printable.Escape(why.Error())},
	}})
	if err != nil {
		return "", err
	}
	have, err := r.stored(ctx, want)
	if err == nil {
		err = r.calls.retry(ctx, func(ctx context.Context) error { return r.writeReport(ctx, want, &have) })
	}
	if err != nil {
		return "", fmt.Errorf("write ScanReport %s: %w", want.Name, err)
	}
	r.known[want.Name] = knownReport{outcome: want.Annotations[v1alpha1.AnnotationOutcome], run: r.opts.writer()}
	return want.Name, nil
}

// failureOf is the name of the report that this run stored of an image whose result it could not; empty where there is none.
func (r *Reporter) failureOf(e handover.Event) string {
	at, err := r.holderOf(e)
	if err != nil {
		return ""
	}
	name := at.subject.Name()
	if k := r.known[name]; k.outcome != v1alpha1.ReasonReportUnavailable || k.run != r.opts.writer() {
		return ""
	}
	return name
}

// maxRefusal bounds what an inventory repeats of an answer of the API server.
const maxRefusal = 1024

// refused notes why nothing about an image can be stored. The first is told: what refuses one, such as a quota, refuses many.
func (in *inventory) refused(path string, why error) {
	in.notStored = cmp.Or(in.notStored, printable.Truncate(path+": "+printable.Escape(why.Error()), maxRefusal))
	in.dirty = true
}
