// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// settled returns the nominal instant up to which nothing is owed any more: the run that started
// last, or where none has, the creation of the ScanSchedule.
//
// A CronJob whose schedule is edited starts a run at once if the new schedule had one since the
// last. Here status.nextScheduleTime is a promise: what a new schedule would have had before the
// edit is not owed, and a run that was promised and is overdue still is.
func settled(s *v1alpha1.ScanSchedule, c *calendar, now time.Time) time.Time {
	last := s.CreationTimestamp.Time
	if s.Status.LastScheduleTime != nil {
		last = s.Status.LastScheduleTime.Time
	}
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return last
	}
	promise := s.Status.NextScheduleTime
	switch edited := !strings.HasPrefix(ready.Message, rhythm(&s.Spec)); {
	case edited && (promise == nil || promise.After(now)):
		return later(last, now)
	case edited || promise == nil:
		return last
	}
	// The promise belongs to the last nominal instant before it, whatever the jitter was then.
	promised, _ := (&calendar{schedule: c.schedule, zone: c.zone, after: c.after}).latest(last, promise.Time)
	return later(last, promised.Add(-time.Second))
}

// rhythm names the schedule and its zone. The message of Ready begins with it, which is how the
// next look sees that one of them was edited.
func rhythm(spec *v1alpha1.ScanScheduleSpec) string {
	return fmt.Sprintf("%q in %s: ", spec.Schedule, ptr.Deref(spec.TimeZone, "UTC"))
}
