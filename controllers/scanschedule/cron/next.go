// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package cron

import "time"

// horizon is how far ahead Next looks: a 29th of February that is a given weekday is up to 40
// years away, across a century that is no leap year.
const horizon = 41

// Next returns the first instant after t, in t's location, at which the schedule is due. It is
// zero if that is more than 41 years away.
//
// A schedule with fixed hours is due once for each of its wall-clock times: those that the clock
// jumps over are due together, at the first instant after the jump; one that the clock shows twice
// is due the first time. With a wildcard or a step in the hour field it is due whenever the wall
// clock matches.
func (s *Schedule) Next(t time.Time) time.Time {
	if s.elapsed {
		return s.nextElapsed(t)
	}
	clock := newClock(t)
	// Two days earlier: a jump may push the end of one day into the next, or over it (Apia, 2011).
	year, month, day := t.AddDate(0, 0, -2).Date()
	last := year + horizon
	for d := date(year, month, day); d.Year() <= last; d = d.AddDate(0, 0, 1) {
		if !s.months.has(int(d.Month())) {
			d = date(d.Year(), d.Month()+1, 0) // the loop goes on with the first of the next month
			continue
		}
		if !s.matchesDay(d.Month(), d.Day(), d.Weekday()) || certainlyBefore(d.AddDate(0, 0, 1), t) {
			continue
		}
		if next := s.nextOfDay(d, t, clock); !next.IsZero() {
			return next
		}
	}
	return time.Time{}
}

// date is a day of the calendar. It lies in UTC, where every day has 24 hours.
func date(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// farthest is more than any zone's distance from UTC, and than any jump of a clock.
const farthest = 26 * time.Hour

// certainlyBefore tells that every zone's clock has shown wall before t.
func certainlyBefore(wall, t time.Time) bool { return wall.Add(farthest).Before(t) }

// nextOfDay returns the first of the day's instants that is after t.
func (s *Schedule) nextOfDay(day, t time.Time, clock clock) time.Time {
	for hour := range 24 {
		if !s.hours.has(hour) || certainlyBefore(day.Add(time.Duration(hour+1)*time.Hour), t) {
			continue
		}
		for minute := range 60 {
			if !s.minutes.has(minute) {
				continue
			}
			wall := day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute)
			if at := clock.instant(wall); at.After(t) {
				return at
			}
		}
	}
	return time.Time{}
}

// clock is a wall clock that knows for how long it does not jump: asking a zone is the cost of a
// search, and it jumps twice a year.
type clock struct {
	zone       *time.Location
	offset     time.Duration
	start, end time.Time // zero: no jump on that side
}

func newClock(t time.Time) clock {
	_, offset := t.Zone()
	start, end := t.ZoneBounds()
	return clock{t.Location(), time.Duration(offset) * time.Second, start, end}
}

// instant returns when the clock first shows what wall shows in UTC; where it never does, the
// first instant after the jump.
func (c clock) instant(wall time.Time) time.Time {
	at := wall.Add(-c.offset)
	if (c.start.IsZero() || at.Sub(c.start) > farthest) && (c.end.IsZero() || c.end.Sub(at) > farthest) {
		return at.In(c.zone)
	}
	return instant(wall, c.zone)
}

// instant is clock.instant for times near a jump.
func instant(wall time.Time, loc *time.Location) time.Time {
	// time.Date promises one of the offsets on either side of a change, not which.
	guess := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), 0, 0, loc)
	start, end := guess.ZoneBounds()
	around := []time.Time{guess}
	if !start.IsZero() {
		around = append(around, start.Add(-1))
	}
	if !end.IsZero() {
		around = append(around, end)
	}
	var first, jumped time.Time
	for _, t := range around {
		_, offset := t.Zone()
		at := wall.Add(-time.Duration(offset) * time.Second).In(loc)
		if _, there := at.Zone(); there == offset {
			if first.IsZero() || at.Before(first) {
				first = at
			}
		} else if change, _ := at.ZoneBounds(); there > offset && !change.IsZero() {
			jumped = change // at was reckoned with the offset before the jump, and lies after it
		}
	}
	if first.IsZero() {
		return jumped.In(loc)
	}
	return first
}

// nextElapsed looks at the minutes after t, leaving out hours and days that do not match.
func (s *Schedule) nextElapsed(t time.Time) time.Time {
	limit := t.Year() + horizon
	at := t.Truncate(time.Minute).Add(time.Minute)
	for at.Year() <= limit {
		switch {
		case !s.months.has(int(at.Month())):
			at = reached(at, date(at.Year(), at.Month()+1, 1))
		case !s.matchesDay(at.Month(), at.Day(), at.Weekday()):
			at = reached(at, date(at.Year(), at.Month(), at.Day()+1))
		case !s.hours.has(at.Hour()):
			at = at.Add(time.Duration(60-at.Minute()) * time.Minute)
		case !s.minutes.has(at.Minute()):
			at = at.Add(time.Minute)
		default:
			return at
		}
	}
	return time.Time{}
}

// reached is when the day begins that follows at.
func reached(at, day time.Time) time.Time {
	begins := instant(day, at.Location())
	if !begins.After(at) { // the clock went back over midnight, and shows the evening again
		return at.Add(time.Minute)
	}
	return begins
}
