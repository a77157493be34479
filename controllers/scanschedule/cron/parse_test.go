// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package cron

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct{ name, expression, want string }{
		{"nothing", "", "it is empty"},
		{"blanks", " \t ", "it is empty"},
		{"seconds", "0 30 1 * * *", "it has 6 fields: write five"},
		{"four fields", "30 1 * *", "it has 4 fields"},
		{"an interval without a phase", "@every 30s", `"@every 30s" is not known: use @hourly`},
		{"the start of a daemon", "@reboot", `"@reboot" is not known`},
		{"a zone", "TZ=Europe/Berlin 30 1 * * *", "use the field timeZone"},
		{"a zone alone, which panics elsewhere", "TZ=Europe/Berlin", "use the field timeZone"},
		{"cron's other way to name a zone", "CRON_TZ=UTC 30 1 * * *", "use the field timeZone"},
		{"a minute too many", "60 1 * * *", `minute "60": 60 is not from 0 to 59`},
		{"an hour too many", "0 24 * * *", "24 is not from 0 to 23"},
		{"no such day", "0 0 0 * *", "0 is not from 1 to 31"},
		{"no such month", "0 0 1 13 *", "13 is not from 1 to 12"},
		{"no such weekday", "0 0 * * 8", "8 is not from 0 to 7"},
		{"a step of nothing", "*/0 * * * *", `"0" is not a step`},
		{"a step beyond the field", "0 */24 * * *", "step 24 is beyond 23"},
		{"an empty step", "*/ * * * *", `"" is not a step`},
		{"a range that runs backwards", "0 5-3 * * *", "5-3 runs backwards"},
		{"an open range", "0 5- * * *", `"" is neither a number nor a known name`},
		{"a sign", "0 +5 * * *", `"+5" is neither`},
		{"a name of another field", "0 mon * * *", `"mon" is neither`},
		{"an empty element", "0,,5 * * * *", `"" is neither`},
		{"a question mark for an hour", "0 ? * * *", `"?" is neither`},
		{"the 31st of February", "0 0 31 2 *", "it is never due"},
		{"the 31st of February each hour", "0 * 31 2 *", "it is never due"},
		{"a book", strings.Repeat("1,", 200) + "1 * * * *", "it has 409 characters"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse(tc.expression)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// FuzzParse holds this parser against robfig's: what both accept is due at the same instants, in a
// zone whose clock never jumps, and nothing makes ours panic.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"30 1 * * *", "*/5 * * * *", "0 0 13 * 5", "0 0 */2 * 5", "59 23 29 2 *", "1-5/2,7 0-23/3 1,15 jan-mar,DEC mon-fri",
		"@hourly", "@weekly", "? ? ? ? ?", "0 0 ? * 0", "5/7 3/5 * * *", "TZ=Europe/Berlin", "@every 1h", "0 0 * * 7", "0 0 31 2 *",
	} {
		f.Add(seed, int64(1_790_000_000))
	}
	f.Fuzz(func(t *testing.T, expression string, unix int64) {
		ours, err := Parse(expression)
		if err != nil {
			return
		}
		theirs, err := robfig(expression)
		if err != nil {
			return
		}
		at := time.Unix(unix%4_000_000_000, 0).UTC()
		for range 3 {
			want, got := theirs.Next(at), ours.Next(at)
			if want.IsZero() {
				return // theirs looks five years ahead
			}
			if !got.Equal(want) {
				t.Fatalf("%q after %s is due at %s, robfig says %s", expression, at, got, want)
			}
			at = got
		}
	})
}

// robfig parses as Kubernetes does. It panics on some input.
func robfig(expression string) (s cron.Schedule, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panic")
		}
	}()
	return cron.ParseStandard(expression)
}
