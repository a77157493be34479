// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// Sink takes what a run finds. Paths are relative to the volume and escaped.
type Sink interface {
	// Listed tells how many entries will follow.
	Listed(total int) error
	// Begin tells that the scan of a target begins.
	Begin(path string) error
	// Note gives the outcome of a path that has no result of its own in this run. The report is that of an earlier run.
	Note(path string, outcome v1alpha1.EntryOutcome, report string) error
	// Deliver gives a result. It may be kept back until earlier ones are stored.
	Deliver(ctx context.Context, r *Result) error
	// Finish returns once everything is stored.
	Finish(ctx context.Context) error
}

// maxDeaths is how often an image may kill its scanner before it fails without being opened:
// once could be a neighbour's fault or the node's.
const maxDeaths = 2

// Verdict is what came of a run as a whole. A Reason is set where there is nothing to count.
type Verdict struct {
	Reason, Message string
	Counts          map[v1alpha1.EntryOutcome]int
	// Denied counts images that the engine's own policy denies.
	Denied int
}

// Total is the number of targets with an outcome.
func (v Verdict) Total() (n int) {
	for _, c := range v.Counts {
		n += c
	}
	return n
}

// run is one pass over the targets of a volume.
type run struct {
	*Scanner
	root  *volume.Root
	known *handover.Knowledge
	sink  Sink
	count map[v1alpha1.EntryOutcome]int
	// denied images, by the engine's own policy.
	denied int
}

// Volume finds the targets that spec names, scans those that known does not answer for, and
// gives everything to sink. The error is about the run: a wrong spec, an unreadable volume, a
// sink that failed, or the end of ctx. Images that fail are results.
func (s *Scanner) Volume(ctx context.Context, root *volume.Root, spec volume.Spec, known *handover.Knowledge, sink Sink) (Verdict, error) {
	if known == nil {
		known = &handover.Knowledge{}
	}
	r := &run{Scanner: s, root: root, known: known, sink: sink, count: map[v1alpha1.EntryOutcome]int{}}
	verdict := Verdict{Counts: r.count}
	found, err := volume.Discover(ctx, root, spec)
	var none *volume.Error
	switch {
	case err == nil:
	case errors.As(err, &none) && none.Reason == volume.ReasonNoTargets:
		verdict.Reason, verdict.Message = none.Reason, none.Message
	default:
		return verdict, err
	}
	if err := incomplete(found); err != nil {
		return verdict, err
	}
	s.Log.Info("listed", "targets", len(found.Targets), "failures", len(found.Failures), "entriesSeen", found.Entries, "directoriesRead", found.Directories)
	if err := sink.Listed(len(found.Targets) + len(found.Failures)); err != nil {
		return verdict, err
	}
	if err := r.failures(ctx, found.Failures); err != nil {
		return verdict, err
	}
	if err := r.targets(ctx, found.Targets); err != nil {
		return verdict, err
	}
	verdict.Denied = r.denied
	return verdict, sink.Finish(ctx)
}

// incomplete says why a search must not pass for a list of all targets.
func incomplete(found volume.Found) error {
	stopped := found.Stopped
	counted := 0
	for _, n := range found.FailureCounts {
		counted += n
	}
	if stopped == "" && counted > len(found.Failures) {
		stopped = fmt.Sprintf("%d paths cannot be used, and only %d are named", counted, len(found.Failures))
	}
	if stopped == "" {
		return nil
	}
	return &volume.Error{Reason: v1alpha1.ReasonIncomplete, Message: "the search for images ended before its end: " + stopped +
		"; name fewer directories in spec.target.volume.paths, or more in exclude"}
}

// failures gives the outcome of what could not become a target.
func (r *run) failures(ctx context.Context, failures []*volume.Error) error {
	for _, f := range failures {
		name := printable.Escape(f.Path)
		if _, ok := r.known.Entries[name]; ok {
			r.tally(r.known.Entries[name].Outcome)
			continue
		}
		var err error
		if f.Reason == volume.ReasonPermissionDenied {
			// A directory most often: the inventory names it, there is no image to report on.
			r.tally(v1alpha1.EntryDenied)
			err = r.sink.Note(name, v1alpha1.EntryDenied, "")
		} else {
			err = r.deliver(ctx, r.Failure(r.root, f.Path, volume.Info{}, f.Reason, f.Message))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// targets scans the targets: first those that killed no scanner yet, so that an image that
// kills every pod takes no other with it; images that changed while they were read once more at the end.
func (r *run) targets(ctx context.Context, targets []volume.Target) error {
	slices.SortStableFunc(targets, func(a, b volume.Target) int {
		return int(r.attempts(a)) - int(r.attempts(b))
	})
	var again []volume.Target
	for _, t := range targets {
		result, err := r.target(ctx, t)
		if err != nil {
			return err
		}
		if result != nil && result.Outcome == v1alpha1.EntryChanging {
			again = append(again, t)
			continue
		}
		if err := r.deliver(ctx, result); err != nil {
			return err
		}
	}
	for _, t := range again {
		result, err := r.target(ctx, t)
		if err != nil {
			return err
		}
		if err := r.deliver(ctx, result); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) attempts(t volume.Target) int32 { return r.known.Attempts[printable.Escape(t.Path)] }

// target scans one target, or returns nil where it already has an outcome.
func (r *run) target(ctx context.Context, t volume.Target) (*Result, error) {
	name := printable.Escape(t.Path)
	if e, ok := r.known.Entries[name]; ok {
		r.tally(e.Outcome)
		return nil, nil
	}
	if name, ok := r.unchanged(t); ok {
		r.tally(v1alpha1.EntryUnchanged)
		return nil, r.sink.Note(printable.Escape(t.Path), v1alpha1.EntryUnchanged, name)
	}
	if n := r.attempts(t); n >= maxDeaths {
		return r.died(t, n), nil
	}
	if err := r.sink.Begin(name); err != nil {
		return nil, err
	}
	result := r.Image(ctx, r.root, t)
	// The end of the run is no property of the image that was being read.
	return result, context.Cause(ctx)
}

// unchanged says whether the API has a report of this very file, made with these settings.
func (r *run) unchanged(t volume.Target) (report string, ok bool) {
	id := volume.Identity(t.Info)
	if id == "" || len(r.known.Reports) == 0 {
		return "", false
	}
	name := r.reportName(t.Path)
	return name, r.known.Reports[name] == id+":"+r.settings()
}

func (r *run) reportName(p string) string {
	return report.Subject{
		ClaimUID:  r.known.Volume.ClaimUID,
		Path:      path.Join(r.known.Volume.SubPath, printable.Escape(p)),
		Engine:    r.Engine.Name(),
		ScanTypes: r.ScanTypes(),
	}.Name()
}

// ScanTypes are what this scanner looks for, sorted.
func (s *Scanner) ScanTypes() []string {
	if len(s.Types) == 0 {
		return []string{string(engine.ScanPackages)}
	}
	var names []string
	for _, t := range s.Types {
		names = append(names, string(t))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// died is the result of an image that killed its scanner too often.
func (r *run) died(t volume.Target, deaths int32) *Result {
	reason, message, ok := strings.Cut(r.known.Death, ": ")
	if !ok {
		reason, message = v1alpha1.ReasonEngineFailed, "the scanner's log may tell more"
	}
	return r.Failure(r.root, t.Path, t.Info, reason, fmt.Sprintf("the scanner died %d times while it read this image: %s", deaths, message))
}

func (r *run) deliver(ctx context.Context, result *Result) error {
	if result == nil {
		return nil
	}
	r.tally(result.Outcome)
	if result.Policy == v1alpha1.ReasonPolicyDenied {
		r.denied++
	}
	r.Log.Info("scanned", "path", result.Report.Target.Path, "outcome", result.Outcome, "reason", result.Report.Outcome.Reason)
	return r.sink.Deliver(ctx, result)
}

func (r *run) tally(o v1alpha1.EntryOutcome) { r.count[o]++ }
