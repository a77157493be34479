// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// situation is all that a decision depends on.
type situation struct {
	calendar *calendar
	// settled: runs of nominal instants up to this one have started, or are not owed.
	settled time.Time
	now     time.Time
	// deadline for a start, after it was due; 0: none.
	deadline time.Duration
	suspend  bool
	policy   v1alpha1.ConcurrencyPolicy
	// active SIFScans are not finished, or not gone yet.
	active int
	// asked: the annotation sifscan.io/run-now has a value that was not taken up yet.
	asked bool
}

// step is what happens next.
type step int

const (
	// rest: nothing is due.
	rest step = iota
	// start a run.
	start
	// hold the run back until an active one is finished.
	hold
	// replace the active ones: delete them, and start once they are gone.
	replace
	// miss the run: it is too late.
	miss
)

// decision says what to do now, and when to look again.
type decision struct {
	step
	// asked: the step is about the run that the annotation asks for.
	asked bool
	// nominal is the instant of the run that the schedule owes, due its start; zero where it owes none.
	nominal, due time.Time
	// missed runs before that one, counted up to manyMissed; owedSince is when the first run of all
	// of these was to start.
	missed    int
	owedSince time.Time
	// next is the next nominal instant, nextDue its start; zero where there is none.
	next, nextDue time.Time
}

// decide is pure: the same situation has the same decision.
//
// It follows Kubernetes' CronJob: only the latest missed run starts; one past its deadline is
// missed, without being recorded as started; one that is forbidden now may start late. A run that
// the annotation asks for goes first, under the same concurrency policy.
func decide(s situation) decision {
	nominal, count := s.calendar.latest(s.settled, s.now)
	d := decision{next: s.calendar.next(later(s.settled, nominal))}
	if !d.next.IsZero() {
		d.nextDue = s.calendar.due(d.next)
	}
	if count > 0 {
		d.nominal, d.due, d.missed = nominal, s.calendar.due(nominal), count-1
		d.owedSince = s.calendar.due(s.calendar.next(s.settled))
	}
	switch {
	case s.suspend:
		return decision{}
	case s.asked:
		d.asked, d.step = true, s.concurrent()
	case count == 0:
		d.step = rest
	case s.deadline > 0 && s.now.After(d.due.Add(s.deadline)):
		d.step = miss
	default:
		d.step = s.concurrent()
	}
	return d
}

// concurrent is what a run that is due does about those that are active.
func (s situation) concurrent() step {
	switch {
	case s.active == 0, s.policy == v1alpha1.ConcurrencyAllow:
		return start
	case s.policy == v1alpha1.ConcurrencyReplace:
		return replace
	}
	return hold
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
