// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

// FolderSink writes results below a directory and a line about each for a person.
type FolderSink struct {
	Dir string
	Out io.Writer

	written map[string]string // folder → the path it was written for
}

var _ Sink = (*FolderSink)(nil)

// NewFolderSink makes the directory if it is not there.
func NewFolderSink(dir string, out io.Writer) (*FolderSink, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return &FolderSink{Dir: dir, Out: out, written: map[string]string{}}, removeLeftovers(dir)
}

// Listed does nothing: a person sees the lines.
func (f *FolderSink) Listed(int) error { return nil }

// Begin does nothing.
func (f *FolderSink) Begin(Place) error { return nil }

// Release does nothing.
func (f *FolderSink) Release(Place) error { return nil }

// Finish does nothing: results are complete when they are delivered.
func (f *FolderSink) Finish(context.Context) error { return nil }

// Note writes a line about a path without a result.
func (f *FolderSink) Note(p Place, outcome v1alpha1.EntryOutcome, _ string) error {
	_, err := fmt.Fprintf(f.Out, "%s  %s\n", p.Name, outcome)
	return err
}

// Deliver writes the result's folder and a line.
func (f *FolderSink) Deliver(_ context.Context, r *Result) error {
	name := FolderName(r.Report.Target.Path)
	if other, taken := f.written[name]; taken && other != r.Report.Target.Path {
		return fmt.Errorf("the results of %s and %s would share the folder %s; scan them one at a time", other, r.Report.Target.Path, name)
	}
	f.written[name] = r.Report.Target.Path
	var text bytes.Buffer
	err := report.Write(&text, r.scanReport())
	if err == nil {
		err = r.folder(text.Bytes()).write(f.Dir, name)
	}
	if err != nil {
		return fmt.Errorf("write the result of %s: %w", r.Report.Target.Path, err)
	}
	what := ""
	switch o := r.Report.Outcome; {
	case o.Reason != "":
		what = o.Reason + ": " + printable.Truncate(o.Message, 400)
	case r.Report.OS != nil:
		what = fmt.Sprintf("%d packages, %s", r.Report.Summary.Packages, r.Report.OS.Name)
	default:
		what = fmt.Sprintf("%d packages, no operating system recognised", r.Report.Summary.Packages)
	}
	if more := r.line(); more != "" {
		what += "; " + more
	}
	_, err = fmt.Fprintf(f.Out, "%s  %s  (%s/%s)\n", r.Report.Target.Path, what, f.Dir, name)
	return err
}

// HandoverSink gives results to the reporter of the same pod.
type HandoverSink struct {
	Hand *handover.Scanner
	// Dir is the results directory of Hand.
	Dir string
	// StoreTimeout is how long the sink waits for the reporter before it gives up.
	StoreTimeout time.Duration
	// Limit of the volume that Dir is on, in bytes. Zero: none.
	Limit int64
	Log   logr.Logger

	pending []string
	sizes   map[string]int64 // of these, on disk
	count   int              // of results, so that no two folders share a name whatever their paths
}

var (
	_ Sink          = (*HandoverSink)(nil)
	_ ContainerSink = (*HandoverSink)(nil)
	_ Archive       = (*HandoverSink)(nil)
)

// maxPending results may wait in the results volume, as far as their bytes leave room: a result with the SBOMs of 20,000
// packages takes about 40 MiB.
const maxPending = 8

// Listed tells the reporter how many entries will follow.
func (h *HandoverSink) Listed(total int) error {
	return h.Hand.Tell(handover.Event{Type: handover.EventListed, Total: int32(total)})
}

// Begin blames a death from here on on the target.
func (h *HandoverSink) Begin(p Place) error {
	return h.Hand.Tell(p.event(handover.Event{Type: handover.EventBegun}))
}

// Release takes that back.
func (h *HandoverSink) Release(p Place) error {
	return h.Hand.Tell(p.event(handover.Event{Type: handover.EventReleased}))
}

// Note tells the outcome of a path without a result.
func (h *HandoverSink) Note(p Place, outcome v1alpha1.EntryOutcome, report string) error {
	return h.Hand.Tell(p.event(handover.Event{Type: handover.EventEntry, Outcome: outcome, Report: report}))
}

// Container tells what is alive.
func (h *HandoverSink) Container(c *v1alpha1.InventoryContainer) error {
	return h.Hand.Tell(handover.Event{Type: handover.EventContainer, Container: c})
}

// Recall asks the reporter.
func (h *HandoverSink) Recall(ctx context.Context, p Place, identity string) (*handover.Recalled, error) {
	ctx, cancel := h.bounded(ctx)
	defer cancel()
	return h.Hand.Recall(ctx, p.event(handover.Event{Identity: identity}))
}

// event is e about the place.
func (p Place) event(e handover.Event) handover.Event {
	e.Path, e.Volume, e.Live = p.Name, p.Volume, p.Live
	if file := printable.Escape(p.Path); file != p.Name {
		e.File = file
	}
	return e
}

// Deliver writes the result, tells the reporter, and waits while too many are not stored yet.
func (h *HandoverSink) Deliver(ctx context.Context, r *Result) error {
	h.count++
	folder := fmt.Sprintf("%06d-%s", h.count, FolderName(r.Name))
	text, err := handedOver(r.scanReport())
	files := r.folder(text)
	if err == nil {
		err = h.makeRoom(ctx, files.size())
	}
	if err == nil {
		err = handover.WriteResult(h.Dir, folder, files)
	}
	if err != nil {
		return fmt.Errorf("write the result of %s: %w", r.Report.Target.Path, err)
	}
	h.pending = append(h.pending, folder)
	if h.sizes == nil {
		h.sizes = map[string]int64{}
	}
	h.sizes[folder] = files.size()
	err = h.Hand.Tell(r.event(handover.Event{
		Type: handover.EventEntry, Outcome: r.Outcome, Folder: folder, Identity: r.Identity, Unchanged: r.Unchanged,
	}))
	if err != nil {
		return err
	}
	return h.wait(ctx, maxPending)
}

// Finish waits until every result and the inventory are stored.
func (h *HandoverSink) Finish(ctx context.Context) error {
	if err := h.wait(ctx, 0); err != nil {
		return err
	}
	ctx, cancel := h.bounded(ctx)
	defer cancel()
	return h.Hand.WaitFinished(ctx)
}

var errReporterSilent = errors.New("the reporter did not store it in time: is the API server reachable from the pod?")

func (h *HandoverSink) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, h.StoreTimeout, errReporterSilent)
}

// wait waits until at most n results are not stored. A result that was refused for good is in
// the inventory as a failure; the others go on.
func (h *HandoverSink) wait(ctx context.Context, n int) error {
	ctx, cancel := h.bounded(ctx)
	defer cancel()
	left, err := h.Hand.WaitStored(ctx, h.pending, n)
	h.pending = left
	maps.DeleteFunc(h.sizes, func(folder string, _ int64) bool { return !slices.Contains(left, folder) })
	if errors.Is(err, handover.ErrNotStored) && ctx.Err() == nil {
		h.Log.Error(err, "the cluster refused a result")
		return nil
	}
	return err
}
