// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestTheFirstPathsAreNamedWhateverTheOrderTheyComeIn(t *testing.T) {
	var forwards, backwards pathNames
	for i := range 50 {
		forwards.add(fmt.Sprintf("%02d.sif", i))
		backwards.add(fmt.Sprintf("%02d.sif", 49-i))
	}
	if forwards.String() != backwards.String() {
		t.Errorf("%s\n%s", &forwards, &backwards)
	}
	if want := "00.sif, 01.sif, "; !strings.HasPrefix(forwards.String(), want) {
		t.Errorf("got %s", &forwards)
	}
	if want := "18.sif, 19.sif and 30 more, which the ScanInventories name"; !strings.HasSuffix(forwards.String(), want) {
		t.Errorf("got %s", &forwards)
	}
}

func TestPathsInAConditionAreShortAndPrintable(t *testing.T) {
	var n pathNames
	for i := range 30 {
		n.add(fmt.Sprintf("%d\x1b[2J\n%s", i, strings.Repeat("x", 4096)))
	}
	text := n.String()
	if len(text) > maxNamed*(maxPath+2)+100 || strings.ContainsAny(text, "\x1b\n") {
		t.Errorf("%d bytes: %q", len(text), text[:100])
	}
}

func TestCovered(t *testing.T) {
	full := tallied(makeInventory(someJob, 0, 0).total(2).entries(1, v1alpha1.EntryScanned).entries(1, v1alpha1.EntryUnchanged))
	part := tallied(makeInventory(someJob, 0, 0).total(3).entries(2, v1alpha1.EntryScanned).entries(1, v1alpha1.EntryDenied))
	lost := tallied(makeInventory(someJob, 0, 0).total(3).entries(2, v1alpha1.EntryScanned))
	first, second, third := epoch, epoch.Add(24*time.Hour), epoch.Add(48*time.Hour)
	var never time.Time
	type night struct {
		at   time.Time
		runs *tally
	}
	for _, tc := range []struct {
		name   string
		nights []night
		want   string
		at     time.Time
		full   time.Time
	}{
		{"everything", []night{{first, full}}, "True Succeeded 100 % checked: 2 images", first, first},
		{"everything again: the time is the last run's", []night{{first, full}, {second, full}}, "True Succeeded 100 % checked: 2 images", second, second},
		{"a part, and never all", []night{{first, part}}, "False Partial 66.6 % checked: 2 of 3 images", first, never},
		{"a part after all", []night{{first, full}, {second, part}}, "False Partial 66.6 % checked: 2 of 3 images", second, first},
		{"two nights after", []night{{first, full}, {second, part}, {third, lost}}, "False ReportUnavailable not every image is accounted for", third, first},
		{"nothing at all", []night{{first, full}, {second, tallied(makeInventory(someJob, 0, 0).total(0))}}, "False NoTargets there was nothing to check", second, first},
		{"nearly all is not all", []night{{first, tallied(
			makeInventory(someJob, 0, 0).total(2001).entries(2000, v1alpha1.EntryScanned), makeInventory(someJob, 0, 1).entries(1, v1alpha1.EntryChanging))}},
			"False Partial 99.9 % checked: 2000 of 2001 images", first, never},
	} {
		t.Run(tc.name, func(t *testing.T) {
			scan := makeScan().obj()
			for _, n := range tc.nights {
				cover(scan, n.runs, n.at)
				(&pass{scan: scan, run: "another"}).begin() // the next run keeps it
				if scan.Status.RunID = ""; len(scan.Status.Conditions) != 1 {
					t.Fatalf("conditions %v", scan.Status.Conditions)
				}
			}
			c := meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionCovered)
			if got := fmt.Sprintf("%s %s %s", c.Status, c.Reason, c.Message); got != tc.want || !c.LastTransitionTime.Time.Equal(tc.at) {
				t.Errorf("at %s: %s\nwant at %s: %s", c.LastTransitionTime, got, tc.at, tc.want)
			}
			if got := scan.Status.LastFullCoverageTime; !tc.full.Equal(ptr.Deref(got, metav1.Time{}).Time) {
				t.Errorf("every image was last checked at %v, want %v", got, tc.full)
			}
		})
	}
}
