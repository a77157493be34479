// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func conditionsOf(scan *v1alpha1.SIFScan) string {
	var list []string
	for _, c := range scan.Status.Conditions {
		list = append(list, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	return strings.Join(list, " ")
}

func TestHealthSetsEveryCondition(t *testing.T) {
	degraded := finished(v1alpha1.ReasonDegraded, "m")
	degraded.degraded, degraded.partial = "d", "p"
	states := []struct {
		name   string
		health health
		want   string
	}{
		{"waiting", waiting(v1alpha1.ReasonRunning, "m"), "Ready=False/Running Reconciling=True/Running Complete=False/Running"},
		{"stalled", stalled(v1alpha1.ReasonNoTargets, "m"), "Ready=False/NoTargets Stalled=True/NoTargets Complete=False/NoTargets"},
		{"suspended is neither progress nor failure", suspended("m"), "Ready=False/Suspended Complete=False/Suspended"},
		{"finished", finished(v1alpha1.ReasonSucceeded, "m"), "Ready=True/Succeeded Complete=True/Succeeded"},
		{"finished with notes", degraded, "Ready=True/Degraded Complete=True/Degraded Degraded=True/Degraded Partial=True/Partial"},
	}
	for _, from := range states {
		for _, to := range states {
			t.Run(from.name+", then "+to.name, func(t *testing.T) {
				scan := makeScan().obj()
				from.health.apply(scan, epoch)
				scan.Generation = 2
				to.health.apply(scan, epoch)
				// Conditions keep their places while they are there; compare them as a set.
				got := strings.Fields(conditionsOf(scan))
				want := strings.Fields(to.want)
				if len(got) != len(want) {
					t.Fatalf("conditions %v, want %v", got, want)
				}
				for _, c := range want {
					if !strings.Contains(" "+strings.Join(got, " ")+" ", " "+c+" ") {
						t.Errorf("conditions %v lack %s", got, c)
					}
				}
				for _, c := range scan.Status.Conditions {
					if c.ObservedGeneration != 2 {
						t.Errorf("%s speaks of generation %d", c.Type, c.ObservedGeneration)
					}
				}
			})
		}
	}
}

func TestHealthKeepsTheTimeOfAnOldTransition(t *testing.T) {
	scan := makeScan().obj()
	waiting(v1alpha1.ReasonVolumeNotFound, "m").apply(scan, epoch)
	waiting(v1alpha1.ReasonRunning, "n").apply(scan, epoch.Add(time.Hour))
	c := meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionReconciling)
	if !c.LastTransitionTime.Time.Equal(epoch) {
		t.Errorf("Reconciling changed at %v, although it was true all the time", c.LastTransitionTime)
	}
}

func TestWait(t *testing.T) {
	missing := cause{v1alpha1.ReasonVolumeNotFound, "m"}
	for _, tc := range []struct {
		name  string
		why   cause
		since time.Duration // before now
		left  time.Duration
		want  string
	}{
		{"just now", missing, 0, 15 * time.Minute, v1alpha1.ConditionReconciling},
		{"a second before the deadline", missing, 15*time.Minute - time.Second, time.Second, v1alpha1.ConditionReconciling},
		{"at the deadline", missing, 15 * time.Minute, 0, v1alpha1.ConditionStalled},
		{"long after", missing, 1000 * time.Hour, 0, v1alpha1.ConditionStalled},
		{"what ends by itself has no deadline", cause{v1alpha1.ReasonRunning, "m"}, 1000 * time.Hour, 0, v1alpha1.ConditionReconciling},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &pass{scan: makeScan().obj(), now: epoch, pendingDeadline: pendingDeadline}
			if left := p.wait(tc.why, epoch.Add(-tc.since)); left != tc.left {
				t.Errorf("looks again after %v, want %v", left, tc.left)
			}
			if !meta.IsStatusConditionTrue(p.scan.Status.Conditions, tc.want) {
				t.Errorf("conditions %s lack %s", conditionsOf(p.scan), tc.want)
			}
		})
	}
}

func TestAHoldStallsAtItsDeadlineAndStaysSo(t *testing.T) {
	scan := makeScan().obj()
	missing := &hold{reason: v1alpha1.ReasonVolumeNotFound, message: "m"}
	look := func(at time.Time) time.Duration {
		return (&pass{scan: scan, now: at, pendingDeadline: pendingDeadline}).explain(missing).RequeueAfter
	}
	if after := look(epoch); after != pendingDeadline {
		t.Errorf("the first look comes back after %v", after)
	}
	if after := look(epoch.Add(time.Minute)); after != pendingDeadline-time.Minute {
		t.Errorf("the second look comes back after %v", after)
	}
	for _, at := range []time.Duration{pendingDeadline, pendingDeadline + time.Second, 2*pendingDeadline - time.Second} {
		if after := look(epoch.Add(at)); after != 0 {
			t.Errorf("a look at %v comes back after %v", at, after)
		}
		if !meta.IsStatusConditionTrue(scan.Status.Conditions, v1alpha1.ConditionStalled) {
			t.Errorf("at %v the conditions are %s", at, conditionsOf(scan))
		}
	}
}

func TestAHoldThatNoWatchEndsIsTriedAgain(t *testing.T) {
	for _, tc := range []struct {
		name string
		hold hold
		want time.Duration
	}{
		{"stalled", hold{stalled: true, reason: v1alpha1.ReasonNotAllowed, retry: time.Minute}, time.Minute},
		{"waiting without a deadline", hold{reason: v1alpha1.ReasonRunning, retry: time.Minute}, time.Minute},
		{"waiting with a later deadline", hold{reason: v1alpha1.ReasonVolumeNotFound, retry: time.Minute}, time.Minute},
		{"stalled until a watch says otherwise", hold{stalled: true, reason: v1alpha1.ReasonInvalidSpec}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := (&pass{scan: makeScan().obj(), now: epoch, pendingDeadline: pendingDeadline}).explain(&tc.hold).RequeueAfter; got != tc.want {
				t.Errorf("tried again after %v, want %v", got, tc.want)
			}
		})
	}
}
