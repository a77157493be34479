// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestAReportIsReadAsItWasWritten(t *testing.T) {
	at := metav1.NewTime(time.Unix(1_700_000_000, 0))
	typeMeta := metav1.TypeMeta{APIVersion: "sifscan.io/v1alpha1", Kind: "ScanReport"}
	for name, want := range map[string]*v1alpha1.ScanReport{
		"one with findings": {
			TypeMeta:   typeMeta,
			ObjectMeta: metav1.ObjectMeta{Name: "sr-1", Annotations: map[string]string{v1alpha1.AnnotationFixable: "1/2/3"}},
			Report: v1alpha1.Report{
				Target:     v1alpha1.ReportTarget{Kind: "sif", Path: `/a"\x1b.sif`, SizeBytes: 7},
				Image:      &v1alpha1.ReportImage{Format: "sif", Labels: map[string]string{"findings": "none", "report": "[]"}},
				Summary:    &v1alpha1.Summary{Critical: ptr.To[int32](2), Packages: 9},
				Findings:   []v1alpha1.Finding{{Key: "b", FirstSeen: at}, {Key: "a", FirstSeen: at}},
				Truncated:  5,
				ObservedAt: at,
			},
		},
		"one of a failure": {
			TypeMeta: typeMeta,
			Report:   v1alpha1.Report{Outcome: v1alpha1.Outcome{Reason: v1alpha1.ReasonCorruptImage}, ObservedAt: at},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var text bytes.Buffer
			if err := Write(&text, want); err != nil {
				t.Fatal(err)
			}
			got, err := Read(&text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAReportIsWrittenAsEncodingJSONWritesIt(t *testing.T) {
	at := metav1.NewTime(time.Unix(1_700_000_000, 0))
	for name, findings := range map[string][]v1alpha1.Finding{
		"without findings": nil,
		"with one that has all": {{
			Key: "k", IDs: v1alpha1.FindingIDs{CVE: "c", QID: "q", GHSA: "g"}, Package: "p", Version: "1", PURL: "u", Path: "/p",
			Severity: "high", Score: "7.5", FixedVersion: "2", DetectedBy: "pkg", FirstSeen: at,
		}},
		"with one that has little": {{Key: "k"}},
		"with texts that a reader must be told of": {
			{Key: "\"<&>\" \\ \u2028 é", IDs: v1alpha1.FindingIDs{GHSA: "g"}, DetectedBy: "\x01", FirstSeen: at}, {Key: "k", FirstSeen: at},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &v1alpha1.ScanReport{Report: v1alpha1.Report{Findings: findings, Truncated: 5, ObservedAt: at}}
			var file, indented bytes.Buffer
			body, err := Body(&r.Report)
			if err = errors.Join(err, Write(&file, r)); err != nil {
				t.Fatal(err)
			}
			var got v1alpha1.ScanReport
			want, err := json.Marshal(r)
			if err = errors.Join(err, json.Unmarshal(file.Bytes(), &got), json.Indent(&indented, file.Bytes(), "", "  ")); err != nil {
				t.Fatal(err)
			}
			if file.String() != indented.String() {
				t.Errorf("it is not indented:\n%s", file.String())
			}
			got.TypeMeta = metav1.TypeMeta{}
			if text, err := json.Marshal(got); string(text) != string(want) || err != nil {
				t.Errorf("%v\n%s\nwant\n%s", err, text, want)
			}
			got = v1alpha1.ScanReport{}
			if err := json.Unmarshal(body, &got.Report); err != nil {
				t.Fatal(err)
			}
			if text, err := json.Marshal(got); string(text) != string(want) || err != nil || bytes.ContainsRune(body[:len(body)-1], '\n') {
				t.Errorf("of the body %s: %v\n%s\nwant\n%s", body, err, text, want)
			}
		})
	}
}

func TestTheLargestReportThatAnImageCanCauseIsRead(t *testing.T) {
	for _, text := range []string{`"`, `\`, `<`, "\x1b", "\xff", "é"} {
		long := strings.Repeat(text, maxText)
		finding := v1alpha1.Finding{
			Key: long, IDs: v1alpha1.FindingIDs{CVE: long, QID: long, GHSA: long}, Package: long, Version: long, PURL: long,
			Path: long, Severity: long, Score: long, FixedVersion: long, DetectedBy: long, FirstSeen: metav1.Now(),
		}
		size := func(findings ...v1alpha1.Finding) int {
			r := &v1alpha1.ScanReport{Report: v1alpha1.Report{Findings: findings}}
			Bound(&r.Report)
			var file bytes.Buffer
			if err := Write(&file, r); err != nil {
				t.Fatal(err)
			}
			return file.Len()
		}
		each := size(finding, finding) - size(finding)
		if all := each*MaxListed + maxRest; all > MaxFile {
			t.Errorf("of %q: %d bytes a finding, %d in all; %d are read", text, each, all, MaxFile)
		}
	}
}

func TestAHostileReportIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                     ``,
		"no object":                   `[]`,
		"cut off":                     `{"report":{"findings":[{"key":"a"}`,
		"cut off within a finding":    `{"report":{"findings":[{"key":`,
		"findings that are an object": `{"report":{"findings":{}}}`,
		"a report that is a list":     `{"report":[]}`,
		"a wrong type":                `{"report":{"findings":[{"key":7}]}}`,
		"much beside the findings":    `{"report":{"image":{"partitions":["` + strings.Repeat(`","`, maxRest/3) + `"]}}}`,
		"many fields":                 `{` + strings.Repeat(`"a":0,`, maxRest/4) + `"b":0}`,
		"no end":                      `{"report":{"findings":[` + strings.Repeat(`{},`, 1000),
		"nested without end":          `{"report":{"x":` + strings.Repeat(`[`, 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Read(strings.NewReader(text)); err == nil {
				t.Errorf("it was read: %+v", got)
			}
		})
	}
}

func TestMoreFindingsThanAreListedAreCountedWithinBoundedMemory(t *testing.T) {
	const n = 500_000 // 1.5 MB of text; decoded at once, 150 MB
	var before, after runtime.MemStats
	text := fmt.Sprintf(`{"report":{"truncated":-3,"findings":[{"key":"first"}%s]}}`, strings.Repeat(`,{}`, n))
	runtime.ReadMemStats(&before)
	r, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(r.Report.Findings) != MaxListed || r.Report.Truncated != n+1-MaxListed || r.Report.Findings[0].Key != "first" {
		t.Errorf("%d listed, %d more", len(r.Report.Findings), r.Report.Truncated)
	}
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 32<<20 {
		t.Errorf("%d MiB are held", kept>>20)
	}
}

// Whatever is read can be bounded, written, and read again as the same.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"metadata":{"annotations":{"a":"b"}},"report":{"target":{"path":"/a"},"findings":[{"key":"k","severity":"high"}],"truncated":2}}`))
	f.Add([]byte(`{"report":{"findings":null,"Findings":[{}],"report":{}},"report":{"findings":[{}]}}`))
	f.Add([]byte(`{"report":{"image":{"labels":{"\u0000":"\ud800"}},"observedAt":null}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		Bound(&r.Report)
		var out bytes.Buffer
		if err := Write(&out, r); err != nil {
			return // a time that JSON has no words for
		}
		back, err := Read(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatalf("what was written is not read: %v\n%s", err, out.Bytes())
		}
		if len(back.Report.Findings) != len(r.Report.Findings) || back.Report.Target.Path != r.Report.Target.Path {
			t.Errorf("read %+v, then %+v", r.Report, back.Report)
		}
	})
}
