// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/report/reporttest"
	"github.com/sifscan/sifscan-operator/test/golden"
)

func failed() *report.Full {
	f := reporttest.Unmatched()
	f.Report.Summary, f.Report.OS = nil, nil
	f.Report.Outcome = v1alpha1.Outcome{Reason: v1alpha1.ReasonCorruptImage, Message: "cut off after 4096 bytes"}
	return f
}

// untold is what qscanner says, which matches by itself and keeps its secrets.
func untold() *report.Full {
	f := reporttest.Matched(reporttest.Findings()[3:4], nil, nil)
	f.Types, f.Report.Scanner = []string{"pkg", "secret"}, v1alpha1.ReportScanner{Engine: "qscanner", Version: "4.8.0"}
	return f
}

func TestTheTableIsTheGoldenOne(t *testing.T) {
	for name, f := range map[string]*report.Full{
		"full":      reporttest.Full(),
		"unmatched": reporttest.Unmatched(),
		"clean":     reporttest.Matched(nil, []engine.Secret{}, nil),
		"failed":    failed(),
		"untold":    untold(),
	} {
		t.Run(name, func(t *testing.T) {
			got := Document(f)
			golden.Compare(t, name+".txt", got)
			for line := range strings.Lines(string(got)) {
				if n := columnsOf(strings.TrimSuffix(line, "\n")); n > lineWidth {
					t.Errorf("%d columns: %s", n, line)
				}
			}
		})
	}
}

func TestAnImageThatNobodyAssessedHasNoZero(t *testing.T) {
	text := string(Document(reporttest.Unmatched()))
	if strings.Contains(text, "0 critical") || strings.Contains(text, "No vulnerability") || !strings.Contains(text, "not zero") {
		t.Errorf("the table says\n%s", text)
	}
}

func TestHostileTextsAreBoundedAndEscaped(t *testing.T) {
	f := reporttest.Hostile()
	for i := range 3 * maxRows {
		f.Findings = append(f.Findings, engine.Finding{ID: fmt.Sprint(i), Package: reporttest.HostileText, PURL: "pkg:generic/x"})
	}
	text := Document(f)
	for line := range bytes.Lines(text) {
		if s := strings.TrimSuffix(string(line), "\n"); !printable.Safe(s) || len(s) > 4096 {
			t.Fatalf("a line of %d bytes: %.100q", len(s), s)
		}
	}
	if n := bytes.Count(text, []byte("\n")); n > 3*maxRows {
		t.Errorf("%d lines", n)
	}
	if !bytes.Contains(text, []byte(fmt.Sprintf("and %d more", 3+3*maxRows-maxRows))) {
		t.Error("what is left out is not counted")
	}
}

func TestColumnsLineUpWhateverTheLetters(t *testing.T) {
	var b bytes.Buffer
	columns{{title: "A", most: 8}, {title: "B"}}.write(&b, [][]string{{"日本", "x"}, {"e\u0301a", "x"}, {"a name that is too wide", "x"}, {"abcd", "x"}})
	var at []int
	for line := range strings.Lines(b.String()) {
		at = append(at, columnsOf(line[:strings.LastIndexAny(line, "Bx")]))
	}
	if diff := cmp.Diff([]int{6, 6, 6, 25, 6}, at); diff != "" {
		t.Errorf("%s\n%s", b.String(), diff)
	}
}

func TestALongPathKeepsItsEnd(t *testing.T) {
	long := strings.Repeat("/directory", 20) + "/METADATA"
	if got := end(long, 40); columnsOf(got) > 40 || !strings.HasPrefix(got, "…/") || !strings.HasSuffix(got, "/METADATA") {
		t.Errorf("got %q", got)
	}
	if got := end(strings.Repeat("x", 300), 40); columnsOf(got) > 40 {
		t.Errorf("got %q", got)
	}
}
