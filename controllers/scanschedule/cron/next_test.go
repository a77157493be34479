// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package cron

import (
	"strings"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

const layout = "2006-01-02 15:04 -0700"

func TestNext(t *testing.T) {
	for _, tc := range []struct {
		name, expression, zone, after string
		want                          []string
	}{
		{"a wall-clock time is due each day", "30 1 * * *", "UTC", "2026-11-21 01:29 +0000",
			[]string{"2026-11-21 01:30 +0000", "2026-11-22 01:30 +0000"}},
		{"what is due now is not due after now", "30 1 * * *", "UTC", "2026-11-21 01:30 +0000", []string{"2026-11-22 01:30 +0000"}},
		{"the 29th of February is waited for, across a century that is no leap year", "0 0 29 2 *", "UTC", "2096-02-29 00:00 +0000",
			[]string{"2104-02-29 00:00 +0000"}},
		{"a day of the month and a weekday are alternatives", "0 0 13 * 5", "UTC", "2026-11-09 00:00 +0000",
			[]string{"2026-11-13 00:00 +0000", "2026-11-20 00:00 +0000", "2026-11-27 00:00 +0000", "2026-12-04 00:00 +0000", "2026-12-11 00:00 +0000", "2026-12-13 00:00 +0000"}},
		{"Sunday is 7 too", "0 0 * * 7", "UTC", "2026-11-21 00:00 +0000", []string{"2026-11-22 00:00 +0000"}},
		{"Friday to Sunday is 5-7", "0 0 * * 5-7", "UTC", "2026-11-21 00:00 +0000", []string{"2026-11-22 00:00 +0000", "2026-11-27 00:00 +0000"}},

		{"a zone's midnight is another day in UTC", "0 0 1 * *", "Asia/Tokyo", "2026-11-30 14:00 +0000",
			[]string{"2026-12-01 00:00 +0900"}},
		{"Berlin: the hour that is jumped over is due after the jump", "30 2 * * *", "Europe/Berlin", "2026-03-28 12:00 +0100",
			[]string{"2026-03-29 03:00 +0200", "2026-03-30 02:30 +0200"}},
		{"Berlin: several times that are jumped over are due once", "*/10 2 * * *", "Europe/Berlin", "2026-03-29 01:00 +0100",
			[]string{"2026-03-29 03:00 +0200", "2026-03-30 02:00 +0200"}},
		{"Berlin: times that are jumped over are due with the one at the jump", "0,30 2,3 * * *", "Europe/Berlin", "2026-03-29 01:00 +0100",
			[]string{"2026-03-29 03:00 +0200", "2026-03-29 03:30 +0200", "2026-03-30 02:00 +0200"}},
		{"Berlin: a time that comes twice is due the first time", "30 2 * * *", "Europe/Berlin", "2026-10-24 12:00 +0200",
			[]string{"2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"}},
		{"Berlin: asked between the two, the second is not due", "30 2 * * *", "Europe/Berlin", "2026-10-25 02:45 +0200",
			[]string{"2026-10-26 02:30 +0100"}},
		{"Berlin: each hour follows the time that elapses when the clock goes forward", "0 * * * *", "Europe/Berlin", "2026-03-29 00:30 +0100",
			[]string{"2026-03-29 01:00 +0100", "2026-03-29 03:00 +0200", "2026-03-29 04:00 +0200"}},
		{"Berlin: and when it goes back", "0 * * * *", "Europe/Berlin", "2026-10-25 01:30 +0200",
			[]string{"2026-10-25 02:00 +0200", "2026-10-25 02:00 +0100", "2026-10-25 03:00 +0100"}},
		{"Berlin: a step is due at each hour that is shown", "0 */2 * * *", "Europe/Berlin", "2026-10-25 00:30 +0200",
			[]string{"2026-10-25 02:00 +0200", "2026-10-25 02:00 +0100", "2026-10-25 04:00 +0100"}},
		{"Berlin: hours in a list are hours of the wall clock", "0 1,2,3 * * *", "Europe/Berlin", "2026-10-25 00:30 +0200",
			[]string{"2026-10-25 01:00 +0200", "2026-10-25 02:00 +0200", "2026-10-25 03:00 +0100", "2026-10-26 01:00 +0100"}},

		{"New York: jumped over", "15 2 * * *", "America/New_York", "2026-03-08 00:00 -0500",
			[]string{"2026-03-08 03:00 -0400", "2026-03-09 02:15 -0400"}},
		{"New York: twice", "15 1 * * *", "America/New_York", "2026-11-01 00:00 -0400",
			[]string{"2026-11-01 01:15 -0400", "2026-11-02 01:15 -0500"}},

		{"Lord Howe: half an hour is jumped over", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00 +1030",
			[]string{"2026-10-04 02:30 +1100", "2026-10-05 02:15 +1100"}},
		{"Lord Howe: the other half is not", "45 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00 +1030",
			[]string{"2026-10-04 02:45 +1100"}},
		{"Lord Howe: half an hour comes twice", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00 +1100",
			[]string{"2026-04-05 01:45 +1100", "2026-04-06 01:45 +1030"}},
		{"Lord Howe: each half hour follows the time that elapses", "*/30 * * * *", "Australia/Lord_Howe", "2026-04-05 01:00 +1100",
			[]string{"2026-04-05 01:30 +1100", "2026-04-05 01:30 +1030", "2026-04-05 02:00 +1030"}},

		{"Apia: a day that never was is due when the next begins", "30 2 * * *", "Pacific/Apia", "2011-12-29 02:30 -1000",
			[]string{"2011-12-31 00:00 +1400", "2011-12-31 02:30 +1400"}},
		{"Apia: its date, too", "0 3 30 12 *", "Pacific/Apia", "2011-12-01 00:00 -1000",
			[]string{"2011-12-31 00:00 +1400", "2012-12-30 03:00 +1400"}},
		{"Apia: midnight after it is due once", "0 0 * * *", "Pacific/Apia", "2011-12-29 00:00 -1000",
			[]string{"2011-12-31 00:00 +1400", "2012-01-01 00:00 +1400"}},
		{"Apia: each hour goes on", "0 * * * *", "Pacific/Apia", "2011-12-29 22:30 -1000",
			[]string{"2011-12-29 23:00 -1000", "2011-12-31 00:00 +1400"}},
		{"Beirut: midnight is jumped over", "0 0 * * *", "Asia/Beirut", "2026-03-28 12:00 +0200",
			[]string{"2026-03-29 01:00 +0300", "2026-03-30 00:00 +0300"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse(tc.expression)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(layout, tc.after)
			if err != nil {
				t.Fatal(err)
			}
			at = at.In(zone(t, tc.zone))
			var got []string
			for range tc.want {
				at = s.Next(at)
				got = append(got, at.Format(layout))
			}
			if a, b := strings.Join(got, "\n"), strings.Join(tc.want, "\n"); a != b {
				t.Errorf("due at\n%s\nwant\n%s", a, b)
			}
		})
	}
}

// Each minute of the days around a change is looked at, the slow and certain way.
func TestNextAgreesWithLookingAtEachMinute(t *testing.T) {
	for _, tc := range []struct{ zone, from string }{
		{"Europe/Berlin", "2026-03-27"}, {"Europe/Berlin", "2026-10-23"}, {"America/New_York", "2026-03-06"}, {"America/New_York", "2026-10-30"},
		{"Australia/Lord_Howe", "2026-04-03"}, {"Australia/Lord_Howe", "2026-10-02"}, {"Pacific/Apia", "2011-12-28"}, {"Asia/Beirut", "2026-03-27"},
	} {
		loc := zone(t, tc.zone)
		from, err := time.ParseInLocation("2006-01-02", tc.from, loc)
		if err != nil {
			t.Fatal(err)
		}
		to := from.Add(4 * 24 * time.Hour)
		for _, expression := range []string{"30 2 * * *", "0,15,30,45 0-3 * * *", "0 0 * * *", "7 */3 * * *", "*/20 * * * *", "45 1 * * 0", "0 23 30 * *"} {
			s, err := Parse(expression)
			if err != nil {
				t.Fatal(err)
			}
			want := byMinute(s, from, to)
			var got []string
			for at := s.Next(from); at.Before(to) && !at.IsZero(); at = s.Next(at) {
				got = append(got, at.Format(layout))
			}
			if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
				t.Errorf("%s from %s, %s: due at\n%s\nwant\n%s", tc.zone, tc.from, expression, a, b)
			}
		}
	}
}

// byMinute follows the definition: a clock is watched from a day before, and each wall-clock time
// that it shows is remembered.
func byMinute(s *Schedule, from, to time.Time) (due []string) {
	shown := map[string]bool{}
	const wall = "2006-01-02 15:04"
	previous := from.Add(-24 * time.Hour)
	for at := previous.Add(time.Minute); at.Before(to); at = at.Add(time.Minute) {
		matches := s.matchesWall(at) && (s.elapsed || !shown[at.Format(wall)])
		shown[at.Format(wall)] = true
		if !s.elapsed {
			// Wall-clock times between what the clock showed a minute ago and what it shows now.
			last, now := asUTC(previous), asUTC(at)
			for w := last.Add(time.Minute); w.Before(now); w = w.Add(time.Minute) {
				matches = matches || s.matchesWall(w)
			}
		}
		if matches && at.After(from) {
			due = append(due, at.Format(layout))
		}
		previous = at
	}
	return due
}

func (s *Schedule) matchesWall(t time.Time) bool {
	return s.matchesDay(t.Month(), t.Day(), t.Weekday()) && s.hours.has(t.Hour()) && s.minutes.has(t.Minute())
}

func asUTC(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
}

func TestInterval(t *testing.T) {
	for expression, want := range map[string]time.Duration{
		"* * * * *":    time.Minute,
		"*/25 * * * *": 10 * time.Minute,
		"0 * * * *":    time.Hour,
		"30 1 * * *":   24 * time.Hour,
		"0 1,23 * * *": 2 * time.Hour,
		"0 0 * * 0":    7 * 24 * time.Hour,
		"0 0 * * 1,3":  2 * 24 * time.Hour,
		"0 0 1 * *":    28 * 24 * time.Hour,
		"0 0 1 1 *":    365 * 24 * time.Hour,
		"0 0 29 2 *":   4*365*24*time.Hour + 24*time.Hour,
		"0 1,2 29 2 *": time.Hour,
		"0 0 13 * 5":   24 * time.Hour,
	} {
		s, err := Parse(expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Interval(); got != want {
			t.Errorf("%s: runs are %s apart at least, want %s", expression, got, want)
		}
	}
}
