// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

func TestFindingsAreCountedWhetherTheyAreListedOrNot(t *testing.T) {
	var found []engine.Finding
	for i := range MaxListed + 7 {
		found = append(found, engine.Finding{ID: fmt.Sprintf("CVE-1-%d", i), Package: "p", PURL: "pkg:deb/debian/p@1?arch=amd64", Severity: engine.SeverityHigh})
	}
	found[0].Severity, found[0].FixedVersion = engine.SeverityCritical, "2"
	found[1].Severity, found[1].FixedVersion = engine.SeverityUnknown, "2"
	c := Count(found)
	want := Counted{Critical: 1, High: MaxListed + 5, Unknown: 1, Fixable: 2, FixableCritical: 1}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	if got := c.FixableAnnotation(); got != "1/0/2" || !ValidFixable(got) {
		t.Errorf("annotation %q", got)
	}
	list, truncated := Findings(found, engine.ScanPackages, metav1.Now())
	if len(list) != MaxListed || truncated != 7 {
		t.Errorf("%d listed, %d truncated", len(list), truncated)
	}
	if list[1].Severity != "unknown" || list[0].Key != "CVE-1-0 pkg:deb/debian/p" {
		t.Errorf("findings %+v, %+v", list[0], list[1])
	}
	r := &v1alpha1.Report{Findings: list, Truncated: truncated}
	Keep(r, 20)
	if len(r.Findings) != 20 || r.Truncated != int32(len(found)-20) {
		t.Errorf("%d listed, %d truncated", len(r.Findings), r.Truncated)
	}
}

func TestAnInventedAnnotationIsNoCount(t *testing.T) {
	for _, text := range []string{"", "1/2", "1/2/3/4", "-1/2/3", "a/b/c", "1/2/99999999999", "1/2/3\n"} {
		if ValidFixable(text) {
			t.Errorf("%q is taken for counts", text)
		}
	}
}

func TestAnAdvisoryOfAnotherNameIsNoGHSA(t *testing.T) {
	list, _ := Findings([]engine.Finding{
		{ID: "PYSEC-2099-1", PURL: "pkg:pypi/a@1"}, {ID: "GHSA-dddd-eeee-ffff", IDs: engine.IDs{GHSA: "GHSA-dddd-eeee-ffff"}, PURL: "pkg:pypi/a@1"},
	}, engine.ScanPackages, metav1.Now())
	if list[0].IDs != (v1alpha1.FindingIDs{}) || list[0].Key != "PYSEC-2099-1 pkg:pypi/a" || list[1].IDs.GHSA != "GHSA-dddd-eeee-ffff" {
		t.Errorf("findings %+v", list)
	}
}
