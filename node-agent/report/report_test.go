// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestAReportsNameDependsOnEverythingItIsAbout(t *testing.T) {
	base := Subject{ClaimUID: "u", Path: "a/b.sif", Engine: "native", ScanTypes: []string{"pkg"}}
	seen := map[string]string{base.Name(): "base"}
	for what, s := range map[string]Subject{
		"claim":  {ClaimUID: "v", Path: "a/b.sif", Engine: "native", ScanTypes: []string{"pkg"}},
		"path":   {ClaimUID: "u", Path: "a/c.sif", Engine: "native", ScanTypes: []string{"pkg"}},
		"engine": {ClaimUID: "u", Path: "a/b.sif", Engine: "trivy", ScanTypes: []string{"pkg"}},
		"types":  {ClaimUID: "u", Path: "a/b.sif", Engine: "native", ScanTypes: []string{"pkg", "secret"}},
		"shift":  {ClaimUID: "ua", Path: "/b.sif", Engine: "native", ScanTypes: []string{"pkg"}},
	} {
		if other, taken := seen[s.Name()]; taken {
			t.Errorf("%s has the name of %s", what, other)
		}
		seen[s.Name()] = what
	}
	if got := base.Name(); got != "sr-x7hgil4s7ofp" {
		t.Errorf("the name of a report changed to %s: every report of every cluster would be made anew", got)
	}
}

func TestAHostileReportIsCutToItsBounds(t *testing.T) {
	long := strings.Repeat("\x1b[31mé", 5000)
	labels := map[string]string{}
	for i := range 5000 {
		labels[fmt.Sprintf("key%d%s", i, long[:200])] = long
	}
	partitions := make([]string, 1000)
	for i := range partitions {
		partitions[i] = long
	}
	r := &v1alpha1.Report{
		Target:  v1alpha1.ReportTarget{Kind: long, Path: long, Mode: long, Architecture: long},
		Image:   &v1alpha1.ReportImage{Format: long, Compression: long, Labels: labels, Partitions: partitions, Signatures: partitions},
		OS:      &v1alpha1.ReportOS{Family: long, Version: long, Name: long},
		Scanner: v1alpha1.ReportScanner{Engine: long, Version: long},
		Outcome: v1alpha1.Outcome{Reason: "Clean", Message: long, Coverage: "everything"},
		Summary: &v1alpha1.Summary{Critical: ptr.To[int32](-5), Packages: -1},
	}
	Bound(r)
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > MaxBytes {
		t.Errorf("%d bytes are left, more than %d", len(body), MaxBytes)
	}
	if strings.ContainsRune(string(body), 0x1b) || strings.Contains(string(body), `\u001b`) {
		t.Error("a terminal escape is left")
	}
	if r.Outcome.Reason != v1alpha1.ReasonEngineFailed || r.Outcome.Coverage != v1alpha1.CoveragePartial {
		t.Errorf("an invented reason or coverage was kept: %+v", r.Outcome)
	}
	if *r.Summary.Critical != 0 || r.Summary.Packages != 0 {
		t.Errorf("negative counts were kept: %+v", r.Summary)
	}
}

func TestAnHonestReportStaysAsItIs(t *testing.T) {
	r := &v1alpha1.Report{
		Target:  v1alpha1.ReportTarget{Kind: "sif", Path: `/shared/caf\xe9\x0a.sif`, SizeBytes: 7},
		Image:   &v1alpha1.ReportImage{Format: "sif", Labels: map[string]string{"maintainer": "Zoë"}},
		Outcome: v1alpha1.Outcome{Reason: v1alpha1.ReasonCorruptImage, Message: "cut off"},
	}
	want := r.DeepCopy()
	Bound(r)
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
}

func TestCountsAreAbsentUnlessEverySeverityWasAssessed(t *testing.T) {
	r := &v1alpha1.Report{Summary: &v1alpha1.Summary{Packages: 3, NotAssessed: 3}}
	want := map[string]string{v1alpha1.AnnotationOutcome: "scanned", v1alpha1.AnnotationPackages: "3/3"}
	if diff := cmp.Diff(want, Annotations(r)); diff != "" {
		t.Error(diff)
	}
	n := ptr.To[int32](0)
	r.Summary.Critical, r.Summary.High, r.Summary.Medium, r.Summary.Low, r.Summary.Unknown = ptr.To[int32](2), n, n, n, n
	want[v1alpha1.AnnotationCounts] = "2/0/0/0/0"
	if diff := cmp.Diff(want, Annotations(r)); diff != "" {
		t.Error(diff)
	}
}
