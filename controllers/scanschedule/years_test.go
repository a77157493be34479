// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// simulation lives through years: runs take a while, the operator goes down and comes up, and now
// and then dies between the creation of a SIFScan and the write of its status.
type simulation struct {
	*testing.T
	random   *rand.Rand
	schedule *v1alpha1.ScanSchedule
	calendar *calendar
	now      time.Time
	// busyUntil is when the run that started last is finished.
	busyUntil time.Time
	started   map[int64]int
	// looks are when the operator looked, while it was not busy.
	free []time.Time
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	random := rand.New(rand.NewPCG(seed, 1))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	s := nightly(
		schedule(pick("30 1 * * *", "30 2 * * *", "0 2,3 * * *", "*/30 1-3 * * *", "15 */6 * * *", "0 0 * * 1-5", "45 1 1,15 * *", "0 * * * *", "0 0 * * 0", "59 23 31 * *")),
		policy(v1alpha1.ConcurrencyPolicy(pick("Forbid", "Allow"))),
	)
	s.Spec.TimeZone = ptr.To(pick("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut"))
	if random.IntN(2) == 0 {
		s.Spec.Jitter = &metav1.Duration{Duration: time.Duration(random.IntN(29)+1) * time.Minute}
	}
	if random.IntN(3) == 0 {
		s.Spec.StartingDeadlineSeconds = ptr.To[int64](int64(600 + random.IntN(7200)))
	}
	c, err := newCalendar(s)
	if err != nil {
		t.Fatal(err)
	}
	return &simulation{T: t, random: random, schedule: s, calendar: c, now: s.CreationTimestamp.Time, started: map[int64]int{}}
}

// look is one reconcile, as Reconcile would go through it.
func (s *simulation) look() {
	s.Helper()
	var active []string
	if s.now.Before(s.busyUntil) {
		active = []string{"at-work"}
	} else {
		s.free = append(s.free, s.now)
	}
	before := s.schedule.Status.DeepCopy()
	p, d := look(s.T, s.schedule, s.now, active...)
	if d.step == start {
		name := childName(s.schedule.Name, d.nominal)
		s.started[d.nominal.Unix()]++
		s.busyUntil = s.now.Add(time.Duration(s.random.IntN(90)) * time.Minute)
		if s.random.IntN(10) == 0 { // it died: all that is left is the SIFScan
			s.schedule.Status = *before
			made := child(s.schedule, name, 0)
			made.Annotations[v1alpha1.AnnotationScheduledAt] = d.nominal.Format(time.RFC3339)
			again := &pass{schedule: s.schedule, now: s.now, children: classify(s.schedule, []v1alpha1.SIFScan{made})}
			again.observe()
			again.conclude(decide(again.situation(s.calendar)), nil)
			return
		}
		p.began(d, name)
	}
	p.conclude(d, nil)
}

// wait moves the clock to when something happens: a run is due, one is finished, or the operator
// comes back after a while.
func (s *simulation) wait() {
	next := s.now.Add(30 * 24 * time.Hour)
	if at := s.schedule.Status.NextScheduleTime; at != nil && at.After(s.now) {
		next = at.Time
	}
	if s.busyUntil.After(s.now) && s.busyUntil.Before(next) {
		next = s.busyUntil
	}
	if s.random.IntN(25) == 0 {
		next = next.Add(time.Duration(s.random.IntN(72*60)) * time.Minute)
	}
	s.now = next
}

// check explains every instant that was due.
func (s *simulation) check(what string) {
	s.Helper()
	looks := s.free
	for at := s.calendar.next(s.schedule.CreationTimestamp.Time); !s.calendar.due(at).After(s.now); at = s.calendar.next(at) {
		switch n := s.started[at.Unix()]; {
		case n == 1:
			continue
		case n > 1:
			s.Fatalf("%s: the run of %s started %d times", what, at, n)
		}
		due, superseded := s.calendar.due(at), s.calendar.due(s.calendar.next(at))
		// It may be left out only if nobody looked while it was the latest and within its deadline.
		end := superseded
		if seconds := s.schedule.Spec.StartingDeadlineSeconds; seconds != nil {
			if late := due.Add(time.Duration(*seconds) * time.Second); late.Before(end) {
				end = late.Add(time.Second)
			}
		}
		for len(looks) > 0 && looks[0].Before(due) {
			looks = looks[1:]
		}
		if len(looks) > 0 && looks[0].Before(end) {
			s.Fatalf("%s: the run of %s, due %s, did not start, and the operator looked at %s with nothing at work", what, at, due, looks[0])
		}
	}
}

func TestOverYearsEachRunStartsOnceOrItsAbsenceIsExplained(t *testing.T) {
	for seed := range uint64(40) {
		s := newSimulation(t, seed)
		end := s.now.AddDate(2, 0, 0)
		for s.now.Before(end) {
			s.look()
			s.wait()
		}
		s.check(fmt.Sprintf("seed %d, %s", seed, rhythm(&s.schedule.Spec)))
		if len(s.started) < 10 {
			t.Errorf("seed %d: only %d runs started in two years", seed, len(s.started))
		}
	}
}

// BenchmarkNight is one night of one schedule: the look that starts its run, and the one after.
func BenchmarkNight(b *testing.B) {
	s := nightly(jitter(30 * time.Minute))
	s.Spec.TimeZone = ptr.To("Europe/Berlin")
	for b.Loop() {
		c, err := newCalendar(s)
		if err != nil {
			b.Fatal(err)
		}
		now := s.CreationTimestamp.Time
		if next := s.Status.NextScheduleTime; next != nil {
			now = next.Time
		}
		for range 2 {
			p := &pass{schedule: s, now: now, before: *s.Status.DeepCopy()}
			d := decide(p.situation(c))
			if d.step == start {
				p.began(d, childName(s.Name, d.nominal))
			}
			p.conclude(d, nil)
		}
	}
}
