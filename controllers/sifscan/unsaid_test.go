// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"strings"
	"testing"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestFailuresWithoutAReportAreToldWithTheFirstOnesReason(t *testing.T) {
	failures := func(reports ...string) *inventoryWrapper {
		i := makeInventory(someJob, 0, 0).total(int32(len(reports)))
		for range reports {
			i.entries(1, v1alpha1.EntryFailed)
		}
		for n, report := range reports {
			i.Entries[n].Report = report
		}
		return i
	}
	noted := failures("sr-a", "", "")
	noted.Annotations = map[string]string{v1alpha1.AnnotationNotStored: "b.sif: exceeded quota\x1b"}
	for name, tc := range map[string]struct {
		inventory *inventoryWrapper
		want      string
	}{
		"all have a report":                 {failures("sr-a", "sr-b"), "2 failed, 0 unsupported): each ScanReport says why"},
		"one has none, and nobody says why": {failures(""), "1 failed, 0 unsupported): each ScanReport says why"},
		"the inventory says of the first": {noted,
			`each ScanReport says why, but for 2 that have none: b.sif: exceeded quota\u{1b}`},
	} {
		if got := degradedText(tallied(tc.inventory)); !strings.HasSuffix(got, tc.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
