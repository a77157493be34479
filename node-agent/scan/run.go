// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// Sink takes what a run finds.
type Sink interface {
	// Listed tells how many entries will follow.
	Listed(total int) error
	// Begin tells that the scan of a target begins.
	Begin(p Place) error
	// Release tells that it ended without an outcome, and that the target is not to blame. It may be called at any time.
	Release(p Place) error
	// Note gives the outcome of a place that has no result of its own in this run. The report is that of an earlier run.
	Note(p Place, outcome v1alpha1.EntryOutcome, report string) error
	// Deliver gives a result. It may be kept back until earlier ones are stored.
	Deliver(ctx context.Context, r *Result) error
	// Finish returns once everything is stored.
	Finish(ctx context.Context) error
}

// Verdict is what came of a run as a whole. A Reason is set where there is nothing to count.
type Verdict struct {
	Reason, Message string
	Counts          map[v1alpha1.EntryOutcome]int
	// Denied counts images that a policy denies; Unjudged those it says nothing of, for nothing was assessed.
	Denied, Unjudged int
}

// Total is the number of targets with an outcome.
func (v Verdict) Total() (n int) {
	for _, c := range v.Counts {
		n += c
	}
	return n
}

// run is one pass over targets.
type run struct {
	*Scanner
	known            *handover.Knowledge
	sink             Sink
	count            map[v1alpha1.EntryOutcome]int
	denied, unjudged int
	live             map[string]*liveImage // by name
	silent           int                   // images in a row that a volume did not answer for
	settled          time.Time             // when every image that has another turn is old enough to be believed
}

// Volume is Run for what spec names on one volume.
func (s *Scanner) Volume(ctx context.Context, root *volume.Root, spec volume.Spec, known *handover.Knowledge, sink Sink) (Verdict, error) {
	return s.Run(ctx, Wanted{Volumes: []Volume{{Root: root, Spec: &spec}}}, known, sink)
}

// Run finds what is wanted, scans what known does not answer for, and gives everything to sink.
// The error is about the run: a wrong spec, an unreadable volume, a sink that failed, or the end of
// ctx. Targets that fail are results.
func (s *Scanner) Run(ctx context.Context, wanted Wanted, known *handover.Knowledge, sink Sink) (Verdict, error) {
	found, err := s.find(ctx, wanted)
	if err != nil {
		return Verdict{}, err
	}
	return s.run(ctx, found, known, sink)
}

// run gives an outcome to everything that was found.
func (s *Scanner) run(ctx context.Context, found found, known *handover.Knowledge, sink Sink) (Verdict, error) {
	if known == nil {
		known = &handover.Knowledge{}
	}
	r := &run{Scanner: s, known: known, sink: sink, count: map[v1alpha1.EntryOutcome]int{}, live: found.live}
	verdict := Verdict{Counts: r.count}
	if found.empty {
		verdict.Reason, verdict.Message = cmp.Or(found.reason, v1alpha1.ReasonNoTargets), found.nothing
	}
	if err := r.tell(found.groups); err != nil {
		return verdict, err
	}
	if err := sink.Listed(len(found.targets) + len(found.failures)); err != nil {
		return verdict, err
	}
	if err := r.failures(ctx, found.failures); err != nil {
		return verdict, err
	}
	if err := r.targets(ctx, found.targets); err != nil {
		return verdict, err
	}
	verdict.Denied, verdict.Unjudged = r.denied, r.unjudged
	return verdict, sink.Finish(ctx)
}

// failures gives the outcome of what could not become a target.
func (r *run) failures(ctx context.Context, failures []failure) error {
	for _, f := range failures {
		if e, ok := r.known.Entries[f.Name]; ok {
			r.tally(e.Outcome)
			continue
		}
		var err error
		if f.reason == v1alpha1.ReasonPermissionDenied {
			// A directory most often: the inventory names it, there is no image to report on.
			r.tally(v1alpha1.EntryDenied)
			err = r.sink.Note(f.Place, v1alpha1.EntryDenied, "")
		} else {
			err = r.deliver(ctx, r.failed(f.Place, f.about, f.reason, f.message))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// targets scans the targets in their turn; images that changed while they were read, or may have been, once more at the end.
func (r *run) targets(ctx context.Context, targets []target) error {
	slices.SortStableFunc(targets, func(a, b target) int { return r.turn(a) - r.turn(b) })
	var again []lastTurn
	for _, t := range targets {
		result, err := r.target(ctx, t)
		if err != nil {
			return err
		}
		if result != nil && r.again(result) {
			again = append(again, lastTurn{t, result.Report.Target.ModTime})
			if err := r.sink.Release(t.place()); err != nil { // else it were blamed for what others do meanwhile
				return err
			}
			continue
		}
		if err := r.deliver(ctx, result); err != nil {
			return err
		}
	}
	if len(again) == 0 {
		return nil
	}
	if err := r.settle(ctx); err != nil {
		return err
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

// turn is where a target stands in line. Those that killed no scanner yet come before those that did, so that an image that
// kills every pod takes no other with it. Who is given up comes before all: its reason is that of the worker's last death,
// which the next image that is opened may replace.
func (r *run) turn(t target) int {
	deaths := int(r.known.Attempts[t.place().Name])
	if deaths >= v1alpha1.MaxDeaths {
		return -1
	}
	return deaths
}

// target scans one target, or returns nil where it already has an outcome.
func (r *run) target(ctx context.Context, t target) (*Result, error) {
	at := t.place()
	if e, ok := r.known.Entries[at.Name]; ok {
		r.tally(e.Outcome)
		return nil, r.alive(at, covered(e.Outcome))
	}
	before := r.earlier(ctx, t)
	if before.unchanged() {
		r.tally(v1alpha1.EntryUnchanged)
		if err := r.sink.Note(at, v1alpha1.EntryUnchanged, before.report); err != nil {
			return nil, err
		}
		return nil, r.alive(at, covered(v1alpha1.EntryUnchanged))
	}
	if n := r.known.Attempts[at.Name]; n >= v1alpha1.MaxDeaths {
		return r.died(t, n), nil
	}
	if err := r.sink.Begin(at); err != nil {
		return nil, err
	}
	// A read that hangs must not keep it from being said: of a volume whose server is away, none returns.
	stop := context.AfterFunc(ctx, func() { _ = r.sink.Release(at) })
	defer stop()
	result := r.rematch(ctx, t, before)
	if result == nil {
		result = r.scan(ctx, t)
	}
	// The end of the run is no property of the image that was being read.
	if ctx.Err() != nil {
		return nil, errors.Join(context.Cause(ctx), r.sink.Release(at))
	}
	return result, nil
}

func (r *run) reportName(at Place) string {
	subject := report.Subject{Path: printable.Escape(at.Path), Live: at.Live, Engine: r.Engine.Name(), ScanTypes: r.ScanTypes()}
	if at.Volume >= 0 && at.Volume < len(r.known.Volumes) {
		on := r.known.Volumes[at.Volume]
		subject.ClaimUID, subject.Path = on.ClaimUID, path.Join(on.SubPath, subject.Path)
	}
	return subject.Name()
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
func (r *run) died(t target, deaths int32) *Result {
	reason, message, ok := strings.Cut(r.known.Death, ": ")
	if !ok {
		reason, message = v1alpha1.ReasonEngineFailed, "the scanner's log may tell more"
	}
	return r.failed(t.place(), t.about(), reason, fmt.Sprintf("the scanner died %d times while it read this image: %s", deaths, message))
}

func (r *run) deliver(ctx context.Context, result *Result) error {
	if result == nil {
		return nil
	}
	r.tally(result.Outcome)
	if result.denied() {
		r.denied++
	}
	if result.unjudged() {
		r.unjudged++
	}
	r.Log.Info("scanned", "path", result.Report.Target.Path, "outcome", result.Outcome, "reason", result.Report.Outcome.Reason)
	if err := r.sink.Deliver(ctx, result); err != nil {
		return err
	}
	if err := r.alive(result.Place, cmp.Or(result.content, result.Report.Outcome.Coverage)); err != nil {
		return err
	}
	return r.answering(result)
}

func (r *run) tally(o v1alpha1.EntryOutcome) { r.count[o]++ }
