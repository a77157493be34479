// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// live steps a ScanSchedule through time: at each of the instants it is looked at, and what
// starts is recorded. Runs finish at once unless active is set.
type live struct {
	*testing.T
	schedule *v1alpha1.ScanSchedule
	started  []string
}

func (l *live) lookAt(text string, active ...string) decision {
	l.Helper()
	p, d := look(l.T, l.schedule, at(text), active...)
	l.schedule.Status.ObservedGeneration = l.schedule.Generation
	if d.step == start {
		name := childName(l.schedule.Name, d.nominal)
		if d.asked {
			name = askedName(l.schedule.Name, p.asked())
			l.started = append(l.started, "asked")
		} else {
			l.started = append(l.started, d.nominal.Format(time.RFC3339))
		}
		p.began(d, name)
	}
	p.conclude(d, nil)
	return d
}

func (l *live) edit(change func(*v1alpha1.ScanSchedule)) {
	l.schedule.Generation++
	change(l.schedule)
}

func (l *live) wantStarted(want ...string) {
	l.Helper()
	if len(l.started) != len(want) {
		l.Fatalf("started %v, want %v", l.started, want)
	}
	for i := range want {
		if l.started[i] != want[i] {
			l.Fatalf("started %v, want %v", l.started, want)
		}
	}
}

func TestAnEditedScheduleStartsNothingThatItWouldHaveHadBefore(t *testing.T) {
	l := &live{T: t, schedule: nightly()}
	l.lookAt("2026-11-21T01:30:00Z")
	l.edit(schedule("0 11 * * *"))
	l.lookAt("2026-11-21T12:00:00Z")
	l.lookAt("2026-11-21T12:00:05Z")
	l.wantStarted("2026-11-21T01:30:00Z")
	l.lookAt("2026-11-22T11:00:00Z")
	l.wantStarted("2026-11-21T01:30:00Z", "2026-11-22T11:00:00Z")
}

func TestAnEditedZoneStartsNothingThatItWouldHaveHadBefore(t *testing.T) {
	l := &live{T: t, schedule: nightly()}
	l.lookAt("2026-11-20T21:00:00Z")
	l.edit(zone("Pacific/Auckland")) // where 01:30 was nine hours ago
	l.lookAt("2026-11-20T21:30:00Z")
	l.lookAt("2026-11-21T01:30:00Z") // no longer an instant of its own
	l.wantStarted()
	l.lookAt("2026-11-21T12:30:00Z")
	l.wantStarted("2026-11-22T01:30:00+13:00")
}

func TestARunThatWasOverdueWhenTheScheduleWasEditedIsStillOwed(t *testing.T) {
	l := &live{T: t, schedule: nightly()}
	l.lookAt("2026-11-20T21:00:00Z")
	l.edit(schedule("0 3 * * *")) // while the operator was down
	l.lookAt("2026-11-21T09:00:00Z")
	l.wantStarted("2026-11-21T03:00:00Z")
}

func TestAnEditedJitterNeitherRepeatsNorLosesARun(t *testing.T) {
	for name, between := range map[string]string{"edited before it starts": "2026-11-21T01:30:00Z", "edited after it started": "2026-11-21T03:30:00Z"} {
		t.Run(name, func(t *testing.T) {
			l := &live{T: t, schedule: nightly(jitter(2 * time.Hour))}
			l.lookAt("2026-11-20T21:00:00Z")
			l.lookAt(between)
			for _, d := range []time.Duration{0, time.Hour, 10 * time.Hour, time.Minute} {
				l.edit(jitter(d))
				l.lookAt("2026-11-21T03:31:00Z")
			}
			l.lookAt("2026-11-21T20:00:00Z")
			l.wantStarted("2026-11-21T01:30:00Z")
		})
	}
}

func TestARunThatIsHeldBackIsNotForgotten(t *testing.T) {
	l := &live{T: t, schedule: nightly()}
	l.lookAt("2026-11-21T01:30:00Z", "old")
	if next := l.schedule.Status.NextScheduleTime; next == nil || !next.Time.Equal(at("2026-11-21T01:30:00Z")) {
		t.Errorf("the next run is said to be at %v, and it is overdue", next)
	}
	l.lookAt("2026-11-21T05:00:00Z", "old")
	l.wantStarted()
	l.lookAt("2026-11-21T06:00:00Z")
	l.wantStarted("2026-11-21T01:30:00Z")
}

func TestTheLatestOfSeveralRunsThatWereHeldBackStarts(t *testing.T) {
	l := &live{T: t, schedule: nightly()}
	l.lookAt("2026-11-21T01:30:00Z", "old")
	l.lookAt("2026-11-22T01:30:00Z", "old")
	if d := l.lookAt("2026-11-22T06:00:00Z"); d.missed != 1 {
		t.Errorf("%d runs were missed, want 1", d.missed)
	}
	l.wantStarted("2026-11-22T01:30:00Z")
}

func TestARunThatIsAskedForStartsOnce(t *testing.T) {
	l := &live{T: t, schedule: nightly()}
	l.lookAt("2026-11-20T21:00:00Z")
	asking(l.schedule)
	l.lookAt("2026-11-20T21:00:01Z", "old")
	l.lookAt("2026-11-20T21:00:02Z")
	l.lookAt("2026-11-20T21:00:03Z")
	l.wantStarted("asked")
	l.schedule.Annotations[v1alpha1.AnnotationRunNow] = "again"
	l.lookAt("2026-11-20T21:00:04Z")
	l.wantStarted("asked", "asked")
}

func TestARunThatIsAskedForWhenOneIsDueDoesNotTakeItsPlace(t *testing.T) {
	l := &live{T: t, schedule: nightly(asking)}
	l.lookAt("2026-11-21T01:30:00Z")
	l.lookAt("2026-11-21T01:30:01Z")
	l.wantStarted("asked", "2026-11-21T01:30:00Z")
}

func TestARepairedScheduleStartsWithItsNextRun(t *testing.T) {
	l := &live{T: t, schedule: nightly()}
	l.lookAt("2026-11-21T01:30:00Z")
	l.edit(schedule("nonsense"))
	_, err := newCalendar(l.schedule)
	if err == nil {
		t.Fatal("nonsense is no schedule")
	}
	(&pass{schedule: l.schedule, now: at("2026-11-21T02:00:00Z")}).invalid(err)
	l.edit(schedule("30 1 * * *"))
	l.lookAt("2026-11-25T12:00:00Z")
	l.lookAt("2026-11-25T12:00:01Z")
	l.wantStarted("2026-11-21T01:30:00Z")
	if stalled := len(l.schedule.Status.Conditions); stalled != 1 {
		t.Errorf("conditions %v, want Ready alone", l.schedule.Status.Conditions)
	}
	l.lookAt("2026-11-26T01:30:00Z")
	l.wantStarted("2026-11-21T01:30:00Z", "2026-11-26T01:30:00Z")
}

func TestResumedAfterALongPauseOneRunStarts(t *testing.T) {
	l := &live{T: t, schedule: nightly()}
	l.lookAt("2026-11-21T01:30:00Z")
	l.edit(suspended)
	l.lookAt("2026-11-21T02:00:00Z")
	if l.schedule.Status.NextScheduleTime != nil {
		t.Error("a suspended schedule has no next run")
	}
	l.edit(func(s *v1alpha1.ScanSchedule) { s.Spec.Suspend = false })
	l.lookAt("2026-11-25T12:00:00Z")
	l.lookAt("2026-11-25T12:00:01Z")
	l.wantStarted("2026-11-21T01:30:00Z", "2026-11-25T01:30:00Z")
}

func TestALookThatChangesNothingWritesNothing(t *testing.T) {
	l := &live{T: t, schedule: nightly()}
	l.lookAt("2026-11-21T01:30:00Z")
	l.lookAt("2026-11-21T01:30:01Z")
	before := l.schedule.Status.DeepCopy()
	l.lookAt("2026-11-21T12:00:00Z")
	if got := l.schedule.Status; !got.NextScheduleTime.Equal(before.NextScheduleTime) || len(got.Conditions) != 1 ||
		!got.Conditions[0].LastTransitionTime.Equal(&before.Conditions[0].LastTransitionTime) {
		t.Errorf("the status moved from %v to %v", before, got)
	}
}

func TestAStartWhoseRecordWasLostIsRecalledFromItsSIFScan(t *testing.T) {
	s := nightly(asking)
	due := at("2026-11-21T01:30:00Z")
	scheduled, asked := child(s, childName(s.Name, due), 0), child(s, askedName(s.Name, "please"), 0)
	forged := child(s, "forged", 0)
	forged.Annotations[v1alpha1.AnnotationScheduledAt] = "2099-01-01T00:00:00Z"
	p := &pass{schedule: s, now: due, children: classify(s, []v1alpha1.SIFScan{scheduled, asked, forged})}
	p.observe()
	if last := s.Status.LastScheduleTime; last == nil || !last.Time.Equal(due) {
		t.Errorf("the last run is of %v, want %s", last, due)
	}
	if value := p.asked(); value != "" {
		t.Errorf("%q is asked for again", value)
	}
}
