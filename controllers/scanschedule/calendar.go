// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the operator's image holds no zones

	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/scanschedule/cron"
)

// calendar knows when the runs of one ScanSchedule are due.
type calendar struct {
	schedule *cron.Schedule
	zone     *time.Location
	jitter   time.Duration
	// key makes the jitter of one schedule differ from that of another.
	key string
	// after remembers what next found: one look asks for the same few instants again and again.
	after map[time.Time]time.Time
}

// newCalendar reads the fields that only a parser understands. Its error is for the user.
func newCalendar(s *v1alpha1.ScanSchedule) (c *calendar, err error) {
	defer func() { // whatever a parser is given, the controller goes on
		if p := recover(); p != nil {
			err = fmt.Errorf("spec.schedule %q cannot be read: %v", s.Spec.Schedule, p)
		}
	}()
	c = &calendar{key: s.Namespace + "/" + s.Name, after: map[time.Time]time.Time{}}
	var wrong []string // all that is, so that nobody has to come back for the next
	if c.schedule, err = cron.Parse(s.Spec.Schedule); err != nil {
		wrong = append(wrong, fmt.Sprintf("spec.schedule %q: %v", s.Spec.Schedule, err))
	}
	if c.zone, err = loadZone(ptr.Deref(s.Spec.TimeZone, "UTC")); err != nil {
		wrong = append(wrong, fmt.Sprintf("spec.timeZone: %v", err))
	}
	if len(wrong) > 0 {
		return nil, errors.New(strings.Join(wrong, "; "))
	}
	if s.Spec.Jitter != nil {
		c.jitter = s.Spec.Jitter.Duration
	}
	if c.jitter == 0 {
		return c, nil
	}
	if shortest := c.schedule.Interval(); c.jitter < 0 || c.jitter >= shortest {
		return nil, fmt.Errorf("spec.jitter %s: use less than %s, the shortest time between two runs", c.jitter, shortest)
	}
	return c, nil
}

func loadZone(name string) (*time.Location, error) {
	if name == "" || strings.EqualFold(name, "local") {
		return nil, errors.New("name a zone such as Europe/Berlin; the operator's own clock is nobody's")
	}
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no zone of the IANA database, use a name such as Europe/Berlin", name)
	}
	zones.Store(name, zone)
	return zone, nil
}

// zones that were loaded. There are 600, and loading one takes longer than a look.
var zones sync.Map

// next returns the first nominal instant after t; zero if there is none within a lifetime.
func (c *calendar) next(t time.Time) time.Time {
	t = t.In(c.zone)
	found, ok := c.after[t]
	if !ok {
		found = c.schedule.Next(t)
		if len(c.after) < maxRemembered {
			c.after[t] = found
		}
	}
	return found
}

// maxRemembered instants: a look that catches up with missed runs asks for more, once each.
const maxRemembered = 16

// due returns when the run of a nominal instant starts: the same whenever it is asked, at or after
// the instant, and before the next one, also where the clock jumps.
func (c *calendar) due(nominal time.Time) time.Time {
	room := c.jitter
	if room < time.Second {
		return nominal
	}
	if next := c.next(nominal); !next.IsZero() {
		room = max(min(room, next.Sub(nominal)), time.Second)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", c.key, nominal.Unix()))
	seconds := binary.BigEndian.Uint64(sum[:8]) % uint64(room/time.Second)
	return nominal.Add(time.Duration(seconds) * time.Second)
}

// manyMissed is how many missed runs are counted. CronJob warns beyond the same number.
const manyMissed = 100

// latest returns the last nominal instant after last whose run is due at now, zero if there is
// none; and how many there are, counted up to manyMissed+1.
func (c *calendar) latest(last, now time.Time) (nominal time.Time, count int) {
	for at := c.next(last); c.isDue(at, now) && count <= manyMissed; at = c.next(at) {
		nominal = at
		count++
	}
	if count <= manyMissed {
		return nominal, count
	}
	// Too many to go through one by one: go back from now until there is one.
	for back := time.Hour; ; back *= 2 {
		from := now.Add(-back)
		if !from.After(nominal) {
			return c.walk(nominal, now), count
		}
		if at := c.next(from); c.isDue(at, now) {
			return c.walk(at, now), count
		}
	}
}

// walk returns the last nominal instant that is due at now, from one that is.
func (c *calendar) walk(nominal, now time.Time) time.Time {
	for at := c.next(nominal); c.isDue(at, now); at = c.next(at) {
		nominal = at
	}
	return nominal
}

func (c *calendar) isDue(nominal, now time.Time) bool {
	return !nominal.IsZero() && !c.due(nominal).After(now)
}
