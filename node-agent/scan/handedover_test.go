// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/test/filled"
)

func TestAReportIsHandedOverAsItIsWritten(t *testing.T) {
	full := v1alpha1.ScanReport{Report: filled.Value[v1alpha1.Report]()}
	full.Name, full.Annotations = "sr-1", map[string]string{"a": "b"}
	full.Report.Findings = append(full.Report.Findings, full.Report.Findings...)
	seen := &full.Report.Findings[len(full.Report.Findings)-1].FirstSeen
	seen.Time = seen.Add(time.Hour).In(time.FixedZone("CET", 3600))
	for name, r := range map[string]*v1alpha1.ScanReport{
		"all fields": &full, "none": {}, "a finding without fields": {Report: v1alpha1.Report{Findings: []v1alpha1.Finding{{}}}},
	} {
		got, err := handedOver(r)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := report.Write(&want, r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(members(t, want.Bytes()), members(t, got)); diff != "" {
			t.Errorf("%s (-written +handed over):\n%s", name, diff)
		}
	}
}

// members of a report.json but for what kind of object it is.
func members(t *testing.T, text []byte) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	delete(m, "apiVersion")
	delete(m, "kind")
	return m
}
