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
