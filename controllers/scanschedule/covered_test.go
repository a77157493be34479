// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/coverage"
)

func TestAScheduleTellsWhatItsLastRunCoveredAndWhenOneCoveredAll(t *testing.T) {
	first := time.Date(2026, 3, 1, 1, 30, 0, 0, time.UTC)
	night := func(n int, status metav1.ConditionStatus, message string) *v1alpha1.SIFScan {
		scan := &v1alpha1.SIFScan{}
		if message != "" {
			at := metav1.NewTime(first.AddDate(0, 0, n))
			if status == metav1.ConditionTrue {
				scan.Status.LastFullCoverageTime = &at
			}
			scan.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionCovered, Status: status, Reason: "Any", Message: message,
				LastTransitionTime: at}}
		}
		return scan
	}
	full := func(n int) *v1alpha1.SIFScan { return night(n, metav1.ConditionTrue, "100 % checked") }
	part := func(n int) *v1alpha1.SIFScan { return night(n, metav1.ConditionFalse, "98.3 % checked") }
	again := func(scan, before *v1alpha1.SIFScan) *v1alpha1.SIFScan {
		scan.Status.LastFullCoverageTime = before.Status.LastFullCoverageTime
		return scan
	}
	running := night(9, "", "")
	for _, tc := range []struct {
		name string
		// looks are the children at each look: by the next, the older ones are deleted.
		looks [][]*v1alpha1.SIFScan
		want  string
	}{
		{"no run ended yet", [][]*v1alpha1.SIFScan{{running}}, ""},
		{"the last checked all", [][]*v1alpha1.SIFScan{{part(0), full(1), running}}, "True 2026-03-02 100 % checked, all 2026-03-02"},
		{"the last checked a part, one before it all", [][]*v1alpha1.SIFScan{{full(0), part(1)}},
			"False 2026-03-02 98.3 % checked, all 2026-03-01"},
		{"and that one is gone", [][]*v1alpha1.SIFScan{{full(0), part(1)}, {part(1), part(2)}, {part(2)}},
			"False 2026-03-03 98.3 % checked, all 2026-03-01"},
		{"every run is gone", [][]*v1alpha1.SIFScan{{full(0)}, nil}, "True 2026-03-01 100 % checked, all 2026-03-01"},
		{"none ever checked all", [][]*v1alpha1.SIFScan{{part(0)}, {part(1)}}, "False 2026-03-02 98.3 % checked"},
		{"the last SIFScan was told to run again, and checked a part", [][]*v1alpha1.SIFScan{{again(part(2), full(1))}}, "False 2026-03-03 98.3 % checked, all 2026-03-02"},
		{"whatever order they come in", [][]*v1alpha1.SIFScan{{part(2), full(1), part(0)}},
			"False 2026-03-03 98.3 % checked, all 2026-03-02"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &pass{schedule: &v1alpha1.ScanSchedule{}}
			for _, scans := range tc.looks {
				p.children = children{succeeded: scans}
				p.cover()
			}
			got := ""
			if c := coverage.Of(p.schedule.Status.Conditions); c != nil {
				got = fmt.Sprintf("%s %s %s", c.Status, c.LastTransitionTime.UTC().Format(time.DateOnly), c.Message)
			}
			if all := p.schedule.Status.LastFullCoverageTime; all != nil {
				got += ", all " + all.UTC().Format(time.DateOnly)
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
