// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package cron reads cron expressions and tells when they are due, daylight saving time included.
//
// It is our own because no kept library does both: robfig/cron, which Kubernetes uses, is no longer
// maintained, panics on "TZ=Europe/Berlin", skips a day's run at 02:30 when the clock goes
// forward and runs it twice when it goes back. What both accept means the same here as there (see
// FuzzParse), except around changes of the clock.
package cron

import "time"

// Schedule is a parsed expression.
type Schedule struct {
	minutes, hours, days, months, weekdays set
	// A day matches by day of month and by weekday if one of them is "*", else by either one.
	anyDay, anyWeekday bool
	// elapsed schedules have an hour field with "*" or a step: they follow the time that really
	// elapses. The others name hours of the wall clock, and each of these happens once.
	elapsed bool
}

// set holds numbers from 0 to 59.
type set uint64

func (s set) has(n int) bool { return s>>n&1 == 1 }

// matchesDay tells whether something is due on a day.
func (s *Schedule) matchesDay(month time.Month, day int, weekday time.Weekday) bool {
	if !s.months.has(int(month)) {
		return false
	}
	byDay, byWeekday := s.days.has(day), s.weekdays.has(int(weekday))
	if s.anyDay || s.anyWeekday {
		return byDay && byWeekday
	}
	return byDay || byWeekday
}

// Interval returns the shortest time between two wall-clock times of the schedule.
func (s *Schedule) Interval() time.Duration {
	const day = 24 * 60
	first, last, shortest := -1, -1, time.Duration(1<<62)
	for hour := range 24 {
		if !s.hours.has(hour) {
			continue
		}
		for minute := range 60 {
			if !s.minutes.has(minute) {
				continue
			}
			at := hour*60 + minute
			if first < 0 {
				first = at
			} else {
				shortest = min(shortest, time.Duration(at-last)*time.Minute)
			}
			last = at
		}
	}
	if between := s.shortestGap(); between > 0 {
		shortest = min(shortest, time.Duration(between*day-last+first)*time.Minute)
	}
	return shortest
}

// shortestGap is the least number of days from one that matches to the next.
func (s *Schedule) shortestGap() (shortest int) {
	const day = 24 * time.Hour
	var previous time.Time
	for d := date(2000, 1, 1); d.Year() < 2000+horizon && shortest != 1; d = d.Add(day) {
		if !s.months.has(int(d.Month())) {
			d = date(d.Year(), d.Month()+1, 0) // the loop goes on with the first of the next month
			continue
		}
		if !s.matchesDay(d.Month(), d.Day(), d.Weekday()) {
			continue
		}
		if gap := int(d.Sub(previous) / day); !previous.IsZero() && (shortest == 0 || gap < shortest) {
			shortest = gap
		}
		previous = d
	}
	return shortest
}
