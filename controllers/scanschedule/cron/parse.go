// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package cron

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxLength of an expression in bytes. The longest sensible one lists every minute.
const maxLength = 256

// macros are the names for common expressions.
var macros = map[string]string{
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	"@monthly":  "0 0 1 * *",
	"@weekly":   "0 0 * * 0",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@hourly":   "0 * * * *",
}

// field is one of the five.
type field struct {
	name     string
	min, max int
	// last is where "*" and "n/step" end: Sunday is 0 and also 7.
	last  int
	names []string // of the numbers from min on
	// question: "?" is another way to write "*".
	question bool
}

var (
	minuteField  = field{name: "minute", min: 0, max: 59, last: 59}
	hourField    = field{name: "hour", min: 0, max: 23, last: 23}
	dayField     = field{name: "day of month", min: 1, max: 31, last: 31, question: true}
	monthField   = field{name: "month", min: 1, max: 12, last: 12, names: strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")}
	weekdayField = field{name: "day of week", min: 0, max: 7, last: 6, names: strings.Fields("sun mon tue wed thu fri sat"), question: true}
)

// Parse reads "minute hour day-of-month month day-of-week", each "*", a number, a range, a list of
// these, with steps; months and days of the week also by their English names; or one of @yearly,
// @annually, @monthly, @weekly, @daily, @midnight and @hourly. An expression that is never due,
// such as the 31st of February, is an error.
func Parse(expression string) (*Schedule, error) {
	text := strings.TrimSpace(expression)
	switch upper := strings.ToUpper(text); {
	case text == "":
		return nil, errors.New("it is empty: write five fields such as 30 1 * * *")
	case len(text) > maxLength:
		return nil, fmt.Errorf("it has %d characters, at most %d are read", len(text), maxLength)
	case strings.HasPrefix(upper, "TZ=") || strings.HasPrefix(upper, "CRON_TZ="):
		return nil, errors.New("it names a time zone: use the field timeZone")
	case strings.HasPrefix(text, "@"):
		macro, ok := macros[strings.ToLower(text)]
		if !ok {
			return nil, fmt.Errorf("%.20q is not known: use @hourly, @daily, @weekly, @monthly, @yearly or five fields", text)
		}
		text = macro
	}
	words := strings.Fields(text)
	if len(words) != 5 {
		return nil, fmt.Errorf("it has %d fields: write five, minute, hour, day of month, month and day of week", len(words))
	}
	var s Schedule
	var minute, hour, day, month, weekday parsed
	for _, f := range []struct {
		field
		word string
		into *parsed
	}{
		{minuteField, words[0], &minute}, {hourField, words[1], &hour}, {dayField, words[2], &day},
		{monthField, words[3], &month}, {weekdayField, words[4], &weekday},
	} {
		var err error
		if *f.into, err = f.parse(f.word); err != nil {
			return nil, fmt.Errorf("%s %.40q: %w", f.name, f.word, err)
		}
	}
	if weekday.set.has(7) { // Sunday too
		weekday.set = weekday.set&^(1<<7) | 1
	}
	s = Schedule{
		minutes: minute.set, hours: hour.set, days: day.set, months: month.set, weekdays: weekday.set,
		anyDay: day.any, anyWeekday: weekday.any, elapsed: hour.any || hour.stepped,
	}
	// A leap year and every weekday for each of its days: 28 years, and 40 across 2100.
	if from := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); s.Next(from).IsZero() {
		return nil, errors.New("it is never due: no month it names has the day it names")
	}
	return &s, nil
}

// parsed is one field's meaning.
type parsed struct {
	set
	// any: an element is "*" without a step.
	any bool
	// stepped: an element has a step.
	stepped bool
}

func (f field) parse(word string) (p parsed, err error) {
	for element := range strings.SplitSeq(word, ",") {
		if err := f.element(element, &p); err != nil {
			return p, err
		}
	}
	return p, nil
}

// element adds "*", "*/step", "n", "n/step", "n-m" or "n-m/step".
func (f field) element(text string, p *parsed) error {
	span, stepText, hasStep := strings.Cut(text, "/")
	step := 1
	if hasStep {
		var err error
		if step, err = number(stepText); err != nil || step == 0 {
			return fmt.Errorf("%.20q is not a step: write a number above 0", stepText)
		}
		if step > f.max {
			return fmt.Errorf("step %d is beyond %d", step, f.max)
		}
	}
	first, last, isRange := strings.Cut(span, "-")
	low, high := f.min, f.last
	switch {
	case span == "*" || span == "?" && f.question:
		p.any = p.any || step == 1
	default:
		var err error
		if low, err = f.value(first); err != nil {
			return err
		}
		switch {
		case isRange:
			if high, err = f.value(last); err != nil {
				return err
			}
		case !hasStep:
			high = low
		}
		if low > high {
			return fmt.Errorf("%d-%d runs backwards", low, high)
		}
	}
	p.stepped = p.stepped || hasStep
	for n := low; n <= high; n += step {
		p.set |= 1 << n
	}
	return nil
}

// value reads a number or a name.
func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.min + i, nil
		}
	}
	n, err := number(text)
	if err != nil {
		return 0, fmt.Errorf("%.20q is neither a number nor a known name", text)
	}
	if n < f.min || n > f.max {
		return 0, fmt.Errorf("%d is not from %d to %d", n, f.min, f.max)
	}
	return n, nil
}

// number reads digits only: strconv alone would take a sign.
func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 8)
	return int(n), err
}
