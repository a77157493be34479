// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// nightly is a ScanSchedule at 01:30 UTC, created on the evening before 21 November 2026.
func nightly(change ...func(*v1alpha1.ScanSchedule)) *v1alpha1.ScanSchedule {
	s := &v1alpha1.ScanSchedule{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hpc", Name: "nightly", UID: "uid", Generation: 1, CreationTimestamp: metav1.NewTime(at("2026-11-20T20:00:00Z"))},
		Spec:       v1alpha1.ScanScheduleSpec{Schedule: "30 1 * * *", TimeZone: ptr.To("UTC"), ConcurrencyPolicy: v1alpha1.ConcurrencyForbid},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func schedule(text string) func(*v1alpha1.ScanSchedule) {
	return func(s *v1alpha1.ScanSchedule) { s.Spec.Schedule = text }
}
func zone(name string) func(*v1alpha1.ScanSchedule) {
	return func(s *v1alpha1.ScanSchedule) { s.Spec.TimeZone = &name }
}
func deadline(seconds int64) func(*v1alpha1.ScanSchedule) {
	return func(s *v1alpha1.ScanSchedule) { s.Spec.StartingDeadlineSeconds = &seconds }
}
func jitter(d time.Duration) func(*v1alpha1.ScanSchedule) {
	return func(s *v1alpha1.ScanSchedule) { s.Spec.Jitter = &metav1.Duration{Duration: d} }
}
func policy(c v1alpha1.ConcurrencyPolicy) func(*v1alpha1.ScanSchedule) {
	return func(s *v1alpha1.ScanSchedule) { s.Spec.ConcurrencyPolicy = c }
}
func suspended(s *v1alpha1.ScanSchedule) { s.Spec.Suspend = true }
func ranAt(text string) func(*v1alpha1.ScanSchedule) {
	return func(s *v1alpha1.ScanSchedule) { s.Status.LastScheduleTime = ptr.To(metav1.NewTime(at(text))) }
}
func asking(s *v1alpha1.ScanSchedule) {
	s.Annotations = map[string]string{v1alpha1.AnnotationRunNow: "please"}
}

// look decides as the reconciler does, with active SIFScans.
func look(t *testing.T, s *v1alpha1.ScanSchedule, now time.Time, active ...string) (*pass, decision) {
	t.Helper()
	c, err := newCalendar(s)
	if err != nil {
		t.Fatal(err)
	}
	p := &pass{schedule: s, now: now, before: *s.Status.DeepCopy()}
	for _, name := range active {
		p.active = append(p.active, &v1alpha1.SIFScan{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return p, decide(p.situation(c))
}

func TestDecide(t *testing.T) {
	var names = map[step]string{rest: "rest", start: "start", hold: "hold", replace: "replace", miss: "miss"}
	const (
		due    = "2026-11-21T01:30:00Z"
		dayTwo = "2026-11-22T01:30:00Z"
	)
	for _, tc := range []struct {
		name     string
		schedule *v1alpha1.ScanSchedule
		now      string
		active   []string
		want     step
		nominal  string
		missed   int
		next     string
	}{
		{name: "never ran, and not yet due", schedule: nightly(), now: "2026-11-21T01:29:59Z", want: rest, next: due},
		{name: "due to the second", schedule: nightly(), now: due, want: start, nominal: due, next: dayTwo},
		{name: "a second after", schedule: nightly(), now: "2026-11-21T01:30:01Z", want: start, nominal: due, next: dayTwo},
		{name: "it ran at this instant already", schedule: nightly(ranAt(due)), now: "2026-11-21T01:30:01Z", want: rest, next: dayTwo},
		{name: "long overdue, one run starts, the latest", schedule: nightly(ranAt(due)), now: "2026-11-24T09:00:00Z", want: start, nominal: "2026-11-24T01:30:00Z", missed: 2, next: "2026-11-25T01:30:00Z"},
		{name: "a hundred missed runs are counted", schedule: nightly(schedule("* * * * *"), ranAt(due)), now: "2026-11-21T03:11:00Z", want: start, nominal: "2026-11-21T03:11:00Z", missed: 100, next: "2026-11-21T03:12:00Z"},
		{name: "of a year of missed minutes, the latest still starts", schedule: nightly(schedule("* * * * *"), ranAt(due)), now: "2027-11-21T03:10:30Z", want: start, nominal: "2027-11-21T03:10:00Z", missed: 100, next: "2027-11-21T03:11:00Z"},
		{name: "of years of missed months, the latest still starts", schedule: nightly(schedule("0 0 1 * *"), ranAt("2000-01-01T00:00:00Z")), now: "2026-11-21T00:00:00Z", want: start, nominal: "2026-11-01T00:00:00Z", missed: 100, next: "2026-12-01T00:00:00Z"},
		{name: "past its deadline, it is missed and the next is unharmed", schedule: nightly(deadline(60)), now: "2026-11-21T01:31:01Z", want: miss, nominal: due, next: dayTwo},
		{name: "within its deadline", schedule: nightly(deadline(60)), now: "2026-11-21T01:31:00Z", want: start, nominal: due, next: dayTwo},
		{name: "a large deadline", schedule: nightly(deadline(31536000)), now: "2026-11-24T09:00:00Z", want: start, nominal: "2026-11-24T01:30:00Z", missed: 3, next: "2026-11-25T01:30:00Z"},
		{name: "the operator was down for three days, with a deadline", schedule: nightly(ranAt(due), deadline(3600)), now: "2026-11-24T09:00:00Z", want: miss, nominal: "2026-11-24T01:30:00Z", missed: 2, next: "2026-11-25T01:30:00Z"},
		{name: "the clock went back behind the last run", schedule: nightly(ranAt(dayTwo)), now: "2026-11-20T23:00:00Z", want: rest, next: "2026-11-23T01:30:00Z"},
		{name: "created in the future", schedule: nightly(func(s *v1alpha1.ScanSchedule) { s.CreationTimestamp = metav1.NewTime(at("2026-11-25T00:00:00Z")) }), now: due, want: rest, next: "2026-11-25T01:30:00Z"},
		{name: "suspended, nothing is due", schedule: nightly(suspended), now: due, want: rest},
		{name: "unsuspended after a long pause, one run starts", schedule: nightly(ranAt("2026-10-01T01:30:00Z")), now: "2026-11-21T12:00:00Z", want: start, nominal: due, missed: 50, next: dayTwo},
		{name: "unsuspended after a long pause, with a deadline, none does", schedule: nightly(ranAt("2026-10-01T01:30:00Z"), deadline(3600)), now: "2026-11-21T12:00:00Z", want: miss, nominal: due, missed: 50, next: dayTwo},

		{name: "Forbid and one at work: it waits", schedule: nightly(), now: due, active: []string{"old"}, want: hold, nominal: due, next: dayTwo},
		{name: "Forbid, and the one at work is finished within the deadline: it starts late", schedule: nightly(deadline(7200)), now: "2026-11-21T03:00:00Z", want: start, nominal: due, next: dayTwo},
		{name: "Forbid, and it finishes after the deadline: missed", schedule: nightly(deadline(3600)), now: "2026-11-21T03:00:00Z", want: miss, nominal: due, next: dayTwo},
		{name: "Forbid, past the deadline and one at work: missed, not held", schedule: nightly(deadline(3600)), now: "2026-11-21T03:00:00Z", active: []string{"old"}, want: miss, nominal: due, next: dayTwo},
		{name: "Allow and one at work: another", schedule: nightly(policy(v1alpha1.ConcurrencyAllow)), now: due, active: []string{"old"}, want: start, nominal: due, next: dayTwo},
		{name: "Allow and none at work", schedule: nightly(policy(v1alpha1.ConcurrencyAllow)), now: due, want: start, nominal: due, next: dayTwo},
		{name: "Replace and one at work: it goes first", schedule: nightly(policy(v1alpha1.ConcurrencyReplace)), now: due, active: []string{"old"}, want: replace, nominal: due, next: dayTwo},
		{name: "Replace and none at work", schedule: nightly(policy(v1alpha1.ConcurrencyReplace)), now: due, want: start, nominal: due, next: dayTwo},
		{name: "Replace and nothing due: the one at work is left alone", schedule: nightly(policy(v1alpha1.ConcurrencyReplace), ranAt(due)), now: "2026-11-21T02:00:00Z", active: []string{"old"}, want: rest, next: dayTwo},

		{name: "asked for, outside of the schedule", schedule: nightly(asking), now: "2026-11-20T21:00:00Z", want: start, next: due},
		{name: "asked for while one is at work: Forbid holds it too", schedule: nightly(asking), now: "2026-11-20T21:00:00Z", active: []string{"old"}, want: hold, next: due},
		{name: "asked for while suspended: nothing", schedule: nightly(asking, suspended), now: due, want: rest},
		{name: "asked for while one is at work: Allow starts another", schedule: nightly(asking, policy(v1alpha1.ConcurrencyAllow)), now: "2026-11-20T21:00:00Z", active: []string{"old"}, want: start, next: due},
		{name: "asked for while one is at work: Replace ends it first", schedule: nightly(asking, policy(v1alpha1.ConcurrencyReplace)), now: "2026-11-20T21:00:00Z", active: []string{"old"}, want: replace, next: due},
		{name: "suspended under Replace, the one at work is left alone", schedule: nightly(suspended, policy(v1alpha1.ConcurrencyReplace)), now: due, active: []string{"old"}, want: rest},
		{name: "a leap day is waited for", schedule: nightly(schedule("0 0 29 2 *")), now: due, want: rest, next: "2028-02-29T00:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, d := look(t, tc.schedule, at(tc.now), tc.active...)
			if d.step != tc.want {
				t.Errorf("it will %s, want %s", names[d.step], names[tc.want])
			}
			if d.missed != tc.missed {
				t.Errorf("%d runs missed, want %d", d.missed, tc.missed)
			}
			for what, pair := range map[string]struct {
				got  time.Time
				want string
			}{"run of": {d.nominal, tc.nominal}, "next": {d.next, tc.next}} {
				if want := (time.Time{}); tc.name != "" && pair.want != "" {
					want = at(pair.want)
					if !pair.got.Equal(want) {
						t.Errorf("%s %s, want %s", what, pair.got, want)
					}
				} else if !pair.got.IsZero() {
					t.Errorf("%s %s, want none", what, pair.got)
				}
			}
		})
	}
}

func TestARunPastItsDeadlineIsMissedOnce(t *testing.T) {
	s := nightly(deadline(60))
	p, d := look(t, s, at("2026-11-21T02:00:00Z"))
	p.conclude(d, nil)
	if len(p.tales) != 1 || p.tales[0].reason != reasonMissed || s.Status.LastScheduleTime != nil {
		t.Fatalf("told %v, last run %v", p.tales, s.Status.LastScheduleTime)
	}
	p, d = look(t, s, at("2026-11-21T02:00:05Z"))
	p.conclude(d, nil)
	if len(p.tales) != 0 || d.step != rest {
		t.Errorf("the same run is missed again: %v", p.tales)
	}
}

func TestTheDeadlineCountsFromTheDelayedStart(t *testing.T) {
	s := nightly(jitter(3*time.Hour), deadline(60))
	c, err := newCalendar(s)
	if err != nil {
		t.Fatal(err)
	}
	nominal := at("2026-11-21T01:30:00Z")
	due := c.due(nominal)
	if due.Sub(nominal) < 2*time.Minute {
		t.Fatalf("the start is delayed by %s, which shows nothing", due.Sub(nominal))
	}
	for after, want := range map[time.Duration]step{-time.Second: rest, 0: start, time.Minute: start, time.Minute + time.Second: miss} {
		if _, d := look(t, s, due.Add(after)); d.step != want {
			t.Errorf("%s after the delayed start it will %d, want %d", after, d.step, want)
		}
	}
}

func TestJitterDelaysEachRunByAPartOfIt(t *testing.T) {
	c, err := newCalendar(nightly(jitter(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	again, err := newCalendar(nightly(jitter(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	offsets := map[time.Duration]bool{}
	nominal := at("2026-11-20T20:00:00Z")
	for range 50 {
		nominal = c.next(nominal)
		offset := c.due(nominal).Sub(nominal)
		if offset < 0 || offset >= time.Hour || !again.due(nominal).Equal(c.due(nominal)) {
			t.Fatalf("the run of %s is delayed by %s", nominal, offset)
		}
		offsets[offset] = true
	}
	if len(offsets) < 40 {
		t.Errorf("50 runs have %d different delays", len(offsets))
	}
}

func TestJitterNeverReordersRunsWhereTheClockJumps(t *testing.T) {
	s := nightly(schedule("30 2,3 * * *"), jitter(59*time.Minute), zone("Europe/Berlin"))
	c, err := newCalendar(s)
	if err != nil {
		t.Fatal(err)
	}
	nominal := at("2026-03-28T22:00:00Z")
	for range 4 {
		next := c.next(nominal)
		if !c.due(next).After(c.due(nominal)) {
			t.Errorf("the run of %s starts at %s, that of %s at %s", nominal, c.due(nominal), next, c.due(next))
		}
		nominal = next
	}
}

func TestInvalidSchedules(t *testing.T) {
	for name, tc := range map[string]struct {
		schedule *v1alpha1.ScanSchedule
		want     string
	}{
		"a date that never comes":          {nightly(schedule("0 0 31 2 *")), `spec.schedule "0 0 31 2 *": it is never due: no month it names has the day it names`},
		"a zone nobody knows":              {nightly(zone("Mars/Olympus")), `spec.timeZone: "Mars/Olympus" is no zone of the IANA database, use a name such as Europe/Berlin`},
		"two things":                       {nightly(schedule("30 25 * * *"), zone("Europe/Berln")), `spec.schedule "30 25 * * *": hour "25": 25 is not from 0 to 23; spec.timeZone: "Europe/Berln" is no zone of the IANA database, use a name such as Europe/Berlin`},
		"a path":                           {nightly(zone("../../etc/passwd")), `spec.timeZone: "../../etc/passwd" is no zone of the IANA database, use a name such as Europe/Berlin`},
		"the operator's zone":              {nightly(zone("Local")), `spec.timeZone: name a zone such as Europe/Berlin; the operator's own clock is nobody's`},
		"no zone":                          {nightly(zone("")), `spec.timeZone: name a zone such as Europe/Berlin; the operator's own clock is nobody's`},
		"a jitter as long as the interval": {nightly(jitter(24 * time.Hour)), `spec.jitter 24h0m0s: use less than 24h0m0s, the shortest time between two runs`},
		"a jitter beyond one of two gaps":  {nightly(schedule("0 1,3 * * *"), jitter(3*time.Hour)), `spec.jitter 3h0m0s: use less than 2h0m0s, the shortest time between two runs`},
		"what makes another parser panic":  {nightly(schedule("TZ=Europe/Berlin")), `spec.schedule "TZ=Europe/Berlin": it names a time zone: use the field timeZone`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newCalendar(tc.schedule); err == nil || err.Error() != tc.want {
				t.Errorf("error %q, want %q", err, tc.want)
			}
		})
	}
}
