// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sarif

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/report/reporttest"
	"github.com/sifscan/sifscan-operator/test/golden"
	"github.com/sifscan/sifscan-operator/test/schemas"
)

func document(t *testing.T, f *report.Full) []byte {
	t.Helper()
	text, err := Document(f)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parse(t *testing.T, text []byte) run {
	t.Helper()
	var l log
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); err != nil {
		t.Fatal(err)
	}
	return l.Runs[0]
}

func failed() *report.Full {
	f := reporttest.Unmatched()
	f.Report.Summary, f.Report.Outcome = nil, v1alpha1.Outcome{Reason: v1alpha1.ReasonCorruptImage, Message: "cut off"}
	return f
}

func secretsOnly() *report.Full {
	f := reporttest.Matched(nil, []engine.Secret{}, nil)
	f.Types, f.Report.Scanner.Database = []string{"secret"}, nil
	f.Report.Summary = &v1alpha1.Summary{Secrets: f.Report.Summary.Secrets}
	return f
}

func TestTheDocumentIsTheGoldenOne(t *testing.T) {
	for name, f := range map[string]*report.Full{"full": reporttest.Full(), "unmatched": reporttest.Unmatched()} {
		t.Run(name, func(t *testing.T) {
			got := document(t, f)
			golden.Compare(t, name+".sarif", got)
		})
	}
}

func TestDocumentsAreValidByTheOfficialSchema(t *testing.T) {
	schema := schemas.Compile(t, "sarif", "sarif-schema-2.1.0.json")
	for name, f := range map[string]*report.Full{
		"with everything":  reporttest.Full(),
		"without database": reporttest.Unmatched(),
		"without findings": reporttest.Matched(nil, nil, nil),
		"secrets only":     secretsOnly(),
		"failed":           failed(),
		"hostile":          reporttest.Hostile(),
	} {
		t.Run(name, func(t *testing.T) {
			if err := schema.Validate(t, document(t, f)); err != nil {
				t.Error(err)
			}
		})
	}
	for what, wrong := range map[string][2]string{
		"a level there is not":      {`"level":"error"`, `"level":"fatal"`},
		"a URI that is none":        {`"uri":"var/lib/dpkg/status"`, `"uri":"var/lib/a b%"`},
		"a result without message":  {`"message":{`, `"mess":{`},
		"an invocation of no value": {`"executionSuccessful":true`, `"executionSuccessful":1`},
	} {
		text := strings.Replace(string(document(t, reporttest.Full())), wrong[0], wrong[1], 1)
		if schema.Validate(t, []byte(text)) == nil {
			t.Errorf("the schema accepts %s", what)
		}
	}
}

func TestEveryResultHasWhatReadersAskFor(t *testing.T) {
	for name, f := range map[string]*report.Full{"honest": reporttest.Full(), "hostile": reporttest.Hostile()} {
		t.Run(name, func(t *testing.T) {
			r := parse(t, document(t, f))
			if len(r.Results) != len(f.Findings)+len(f.Secrets) {
				t.Errorf("%d results of %d findings and %d secrets", len(r.Results), len(f.Findings), len(f.Secrets))
			}
			base, err := url.Parse(r.BaseIDs[imageBase].URI)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range r.Results {
				if x.RuleID == "" || x.Level == "" || x.Message.Text == "" || len(x.Locations) != 1 || len(x.Fingerprints) != 1 {
					t.Errorf("a result lacks something: %+v", x)
				}
				rule := r.Tool.Driver.Rules[x.RuleIndex]
				if rule.ID != x.RuleID || rule.Properties.SecuritySeverity == "" || strings.HasPrefix(rule.Properties.SecuritySeverity, "0") {
					t.Errorf("the rule of %s is %+v", x.RuleID, rule)
				}
				at, err := url.Parse(x.Locations[0].Physical.Artifact.URI)
				if err != nil || !strings.HasPrefix(base.ResolveReference(at).String(), base.String()) {
					t.Errorf("%s is no place in %s (%v)", at, base, err)
				}
			}
		})
	}
}

func TestTheSecuritySeverityNeverTellsAnotherSeverity(t *testing.T) {
	for name, c := range map[string]struct {
		severity      engine.Severity
		score         float64
		level, number string
	}{
		"a score":                             {engine.SeverityCritical, 9.8, "error", "9.8"},
		"the highest score":                   {engine.SeverityCritical, 10, "error", "10.0"},
		"a severity without score":            {engine.SeverityHigh, 0, "error", "7.0"},
		"medium":                              {engine.SeverityMedium, 0, "warning", "4.0"},
		"low":                                 {engine.SeverityLow, 0, "note", "2.0"},
		"a distribution knows better":         {engine.SeverityLow, 9.8, "note", "2.0"},
		"nobody has rated it":                 {engine.SeverityUnknown, 0, "warning", "4.0"},
		"nobody has rated it but for a score": {engine.SeverityUnknown, 9.8, "warning", "4.0"},
		"a severity there is not":             {"nonsense", 5, "warning", "4.0"},
	} {
		t.Run(name, func(t *testing.T) {
			if level, number := grade(c.severity, c.score); level != c.level || number != c.number {
				t.Errorf("level %s and %s, want %s and %s", level, number, c.level, c.number)
			}
		})
	}
}

func TestWhatWasNotAssessedIsSaid(t *testing.T) {
	partial := reporttest.Matched(nil, nil, []engine.Warning{{Path: "a b", Message: "unreadable"}})
	partial.DroppedWarnings = 7
	for name, c := range map[string]struct {
		full       *report.Full
		successful bool
		want       []string
	}{
		"nothing is said of a whole one": {func() *report.Full {
			f := reporttest.Matched(nil, nil, nil)
			f.Report.Summary.NotAssessed = 0
			return f
		}(), true, nil},
		"no database":     {reporttest.Unmatched(), true, []string{"error NotAssessed"}},
		"secrets only":    {secretsOnly(), true, []string{"error NotAssessed"}},
		"some packages":   {reporttest.Matched(nil, nil, nil), true, []string{"warning PartiallyAssessed"}},
		"files":           {partial, true, []string{"warning PartiallyAssessed", "warning Partial a%20b", "warning Partial"}},
		"a failed image":  {failed(), false, []string{"error CorruptImage"}},
		"more than a run": {reporttest.Full(), true, []string{"warning PartiallyAssessed", "warning Partial opt/data/broken.jar", "warning Partial"}},
	} {
		t.Run(name, func(t *testing.T) {
			most := maxResults
			if name == "more than a run" {
				most = 4
			}
			text, err := write(c.full, most)
			if err != nil {
				t.Fatal(err)
			}
			r := parse(t, text)
			var got []string
			for _, n := range r.Invocations[0].Notifications {
				line := n.Level + " " + n.Descriptor.ID
				if len(n.Locations) > 0 {
					line += " " + n.Locations[0].Physical.Artifact.URI
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(c.want, got); diff != "" || r.Invocations[0].Successful != c.successful || len(r.Results) > most {
				t.Errorf("successful %v, %d results\n%s", r.Invocations[0].Successful, len(r.Results), diff)
			}
		})
	}
}

func TestHostileTextsAreBoundedAndEscaped(t *testing.T) {
	text := document(t, reporttest.Hostile())
	if len(text) > 256<<10 {
		t.Errorf("the document has %d bytes", len(text))
	}
	for line := range strings.Lines(string(text)) {
		if !printable.Safe(strings.TrimSuffix(line, "\n")) {
			t.Errorf("unsafe: %.100q", line)
		}
	}
	if at := regexp.MustCompile(`[^\\]\\u`).FindIndex(text); at != nil {
		t.Errorf("JSON escapes a character that nobody should see: %.100q", text[at[0]:])
	}
	for _, x := range parse(t, text).Results {
		if m := x.Message.Text; strings.Contains(m, "](") || strings.Contains(strings.ReplaceAll(m, "{{", ""), "{") {
			t.Errorf("a link or a placeholder is left: %.200q", m)
		}
	}
	full := string(document(t, reporttest.Full()))
	if !strings.Contains(full, "Overflow while a {{certificate}} is [parsed] (https://evil.example)") {
		t.Error("a link or a placeholder of a summary is left")
	}
}

func TestEqualScansMakeEqualBytesAndFingerprintsOutliveAnUpdate(t *testing.T) {
	a, b := reporttest.Full(), reporttest.Full()
	if !bytes.Equal(document(t, a), document(t, b)) {
		t.Error("equal scans gave different documents")
	}
	b.Findings[0].Version, b.Findings[0].PURL = "3.0.11-2", "pkg:deb/debian/libssl3@3.0.11-2?arch=amd64"
	b.Secrets[0].Line = 5
	before, after := parse(t, document(t, a)), parse(t, document(t, b))
	seen := map[string]bool{}
	for i := range before.Results {
		id := before.Results[i].Fingerprints[fingerprint]
		if seen[id] {
			t.Errorf("result %d has the fingerprint of another", i)
		}
		seen[id] = true
		if id != after.Results[i].Fingerprints[fingerprint] {
			t.Errorf("result %d has another fingerprint", i)
		}
	}
}

func TestURIsStayInTheImage(t *testing.T) {
	for p, want := range map[string]string{
		"a/b c%": "a/b%20c%25", "/a": "a", "../../etc/passwd": "etc/passwd", "": ".", "a//b/": "a/b", "c:d": "c%3Ad", `caf\xe9`: "caf%5Cxe9", "é": "%C3%A9",
	} {
		if got := relativeURI(p); got != want {
			t.Errorf("%q became %q, want %q", p, got, want)
		}
	}
	for p, want := range map[string]string{"/shared/a b.sif": "file:///shared/a%20b.sif/", "docker.io/library/x:1": "oci://docker.io/library/x%3A1/"} {
		if got := baseURI(p); got != want {
			t.Errorf("%q became %q, want %q", p, got, want)
		}
	}
}
