// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/test/fixtures"
	"github.com/sifscan/sifscan-operator/test/schemas"
)

// database builds a database of advisories, on packages of the Debian fixture, whose identifiers are made up.
func database(t *testing.T) string {
	t.Helper()
	const critical, high, medium, low = "C:H/I:H/A:H", "C:H/I:N/A:N", "C:L/I:N/A:N", "C:N/I:N/A:L"
	dir := t.TempDir()
	records, db := filepath.Join(dir, "records"), filepath.Join(dir, "osv.db")
	if err := os.Mkdir(records, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, r := range []struct{ source, vector, fixed string }{
		{"openssl", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/" + critical, ""},
		{"bash", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/" + critical, "99"},
		{"glibc", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/" + high, "99"},
		{"glibc", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/" + medium, ""},
		{"glibc", "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/" + low, "99"},
		{"glibc", "", ""},
	} {
		events := `{"introduced":"0"}`
		if r.fixed != "" {
			events += `,{"fixed":"` + r.fixed + `"}`
		}
		severity := ""
		if r.vector != "" {
			severity = `,"severity":[{"type":"CVSS_V3","score":"` + r.vector + `"}]`
		}
		text := fmt.Sprintf(`{"id":"TEST-%d","modified":"2026-11-20T00:00:00Z","aliases":["CVE-0000-000%d"],"affected":[{"package":{"ecosystem":"Debian:12","name":"%s"},
"ranges":[{"type":"ECOSYSTEM","events":[%s]}]}]%s}`, i, i, r.source, events, severity)
		if err := os.WriteFile(filepath.Join(records, fmt.Sprintf("TEST-%d.json", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if code, stdout, stderr := agent(context.Background(), "db", "build", "--from", records, "--out", db); code != 0 {
		t.Fatalf("db build: exit code %d\n%s%s", code, stdout, stderr)
	}
	return db
}

// made are the documents of one image, by name, valid by their official schemas.
func made(t *testing.T, args ...string) (printed string, documents map[string][]byte) {
	t.Helper()
	out := t.TempDir()
	code, stdout, stderr := agent(context.Background(), append([]string{"scan", "--output-dir", out}, args...)...)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	documents = written(t, out)
	schemas.Check(t, documents)
	return stdout, documents
}

// written are the documents of one image below an output directory, by name.
func written(t *testing.T, out string) map[string][]byte {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(out, "*", "*"))
	documents := map[string][]byte{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		documents[filepath.Base(name)] = text
	}
	return documents
}

// secretive adds two credentials to an image.
func secretive(t *fixtures.Tree) {
	t.File("root/.netrc", "machine example.org\npassword glpat-"+strings.Repeat("Ab3", 7)[:20]+"\n").File("etc/munge/munge.key", "key")
}

func TestOneScanHasTheSameCountsInEveryDocument(t *testing.T) {
	line, documents := made(t, "--db", database(t), "--formats=json,spdx,cyclonedx", "--report-formats=sarif,table,json", "--scan-types=pkg,secret", sif(t, secretive))
	want := map[string]int{"critical": 2, "high": 1, "medium": 1, "low": 1, "unknown": 1, "secrets": 2}
	for name, count := range map[string]func(*testing.T, []byte) map[string]int{
		"report.json": countReport, "report.sarif": countSARIF, "sbom.cdx.json": countCycloneDX, "report.txt": countTable, "inventory.json": countInventory,
	} {
		t.Run(name, func(t *testing.T) {
			expected := want
			if name == "sbom.cdx.json" { // has no place for secrets
				expected = map[string]int{"critical": 2, "high": 1, "medium": 1, "low": 1, "unknown": 1}
			}
			if diff := cmp.Diff(expected, count(t, documents[name])); diff != "" {
				t.Errorf("%s\n%s", diff, documents[name])
			}
			if bytes.Contains(documents[name], []byte("glpat-")) {
				t.Error("it holds the credential")
			}
		})
	}
	if !strings.Contains(line, "2 critical, 1 high, 1 medium, 1 low, 1 of unknown severity; 2 secrets") {
		t.Errorf("printed: %s", line)
	}
}

func decodeInto(t *testing.T, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatal(err)
	}
}

// countReport counts what report.json lists, and checks it against its summary.
func countReport(t *testing.T, text []byte) map[string]int {
	var r v1alpha1.ScanReport
	decodeInto(t, text, &r)
	counts, fixable := map[string]int{}, int32(0)
	for _, f := range r.Report.Findings {
		if f.DetectedBy == "secret" {
			counts["secrets"]++
			if f.Severity != "" || f.Package != "" || f.Path == "" || !strings.HasPrefix(f.Key, "secret/") {
				t.Errorf("the secret is %+v", f)
			}
			continue
		}
		counts[f.Severity]++
		if f.FixedVersion != "" {
			fixable++
		}
	}
	s := r.Report.Summary
	summary := map[string]int{"critical": int(*s.Critical), "high": int(*s.High), "medium": int(*s.Medium), "low": int(*s.Low), "unknown": int(*s.Unknown), "secrets": int(*s.Secrets)}
	if diff := cmp.Diff(summary, counts); diff != "" || *s.Fixable != fixable || r.Annotations[v1alpha1.AnnotationSecrets] != "2" || r.Annotations[v1alpha1.AnnotationCounts] != "2/1/1/1/1" {
		t.Errorf("fixable %d, annotations %v, summary and list differ: %s", *s.Fixable, r.Annotations, diff)
	}
	return counts
}

// countSARIF counts as a reader does that knows nothing of us but for unknown severities.
func countSARIF(t *testing.T, text []byte) map[string]int {
	var l struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct {
						ID         string
						Properties struct {
							Severity string
							Score    json.Number `json:"security-severity,string"`
							Tags     []string
						}
					}
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex int
			}
		}
	}
	decodeInto(t, text, &l)
	counts := map[string]int{}
	for _, r := range l.Runs[0].Results {
		rule := l.Runs[0].Tool.Driver.Rules[r.RuleIndex].Properties
		score, _ := rule.Score.Float64()
		switch {
		case rule.Tags[1] == "secret":
			counts["secrets"]++
		case rule.Severity == "unknown":
			counts["unknown"]++
		case score >= 9:
			counts["critical"]++
		case score >= 7:
			counts["high"]++
		case score >= 4:
			counts["medium"]++
		case score > 0:
			counts["low"]++
		}
	}
	return counts
}

func countCycloneDX(t *testing.T, text []byte) map[string]int {
	var bom cdx.BOM
	decodeInto(t, text, &bom)
	counts := map[string]int{}
	for _, v := range *bom.Vulnerabilities {
		counts[string((*v.Ratings)[0].Severity)] += len(*v.Affects)
	}
	return counts
}

// countTable counts rows, and checks them against the head.
func countTable(t *testing.T, text []byte) map[string]int {
	counts := map[string]int{}
	for _, row := range regexp.MustCompile(`(?m)^(CRITICAL|HIGH|MEDIUM|LOW|UNKNOWN) `).FindAllSubmatch(text, -1) {
		counts[strings.ToLower(string(row[1]))]++
	}
	counts["secrets"] = len(regexp.MustCompile(`(?m)^(gitlab-token|munge-key) `).FindAll(text, -1))
	if !bytes.Contains(text, []byte("2 critical, 1 high, 1 medium, 1 low, 1 unknown; 3 with a fix")) {
		t.Error("the head says otherwise")
	}
	return counts
}

func countInventory(t *testing.T, text []byte) map[string]int {
	var i struct {
		Findings []struct{ Severity string }
		Secrets  []struct{ Rule string }
	}
	decodeInto(t, text, &i)
	counts := map[string]int{"secrets": len(i.Secrets)}
	for _, f := range i.Findings {
		if f.Severity == "" {
			f.Severity = "unknown"
		}
		counts[f.Severity]++
	}
	return counts
}

func TestDocumentsAreMadeThatWereAskedFor(t *testing.T) {
	image := sif(t)
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"by default":     {nil, []string{"inventory.json", "report.json", "report.sarif", "sbom.spdx.json"}},
		"a table":        {[]string{"--formats=json", "--report-formats=table"}, []string{"inventory.json", "report.json", "report.txt"}},
		"nothing beside": {[]string{"--formats=json", "--report-formats=json"}, []string{"inventory.json", "report.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, documents := made(t, append(c.args, image)...)
			var got []string
			for _, name := range []string{"inventory.json", "report.json", "report.sarif", "report.txt", "sbom.cdx.json", "sbom.spdx.json"} {
				if documents[name] != nil {
					got = append(got, name)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || len(documents) != len(got) {
				t.Error(diff)
			}
		})
	}
	if code, _, stderr := agent(context.Background(), "scan", "--report-formats=pdf", image); code != exitUsage || !strings.Contains(stderr, "sarif, table or json") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestAScanThatAssessedNothingSaysSoInEveryDocument(t *testing.T) {
	otherData := database(t)
	alpine := func(tree *fixtures.Tree) {
		tree.File("usr/lib/os-release", "ID=debian\nVERSION_ID=11\nPRETTY_NAME=Eleven\n") // of which the database has nothing
	}
	for name, args := range map[string][]string{
		"no database":                       {sif(t)},
		"a database of other distributions": {"--db", otherData, sif(t, alpine)},
	} {
		t.Run(name, func(t *testing.T) {
			line, documents := made(t, append([]string{"--formats=cyclonedx", "--report-formats=sarif,table"}, args...)...)
			var r v1alpha1.ScanReport
			decodeInto(t, documents["report.json"], &r)
			if s := r.Report.Summary; s.Critical != nil || s.Secrets != nil || s.NotAssessed != s.Packages || s.Packages == 0 {
				t.Errorf("report.json counts %+v", s)
			}
			if !bytes.Contains(documents["report.sarif"], []byte(`"id":"NotAssessed"`)) || !bytes.Contains(documents["report.txt"], []byte("unknown, not zero")) ||
				bytes.Contains(documents["sbom.cdx.json"], []byte(`"vulnerabilities"`)) || !strings.Contains(line, "no package was matched") {
				t.Errorf("%s\n%s", line, documents["report.txt"])
			}
		})
	}
}

func TestWhatOfAnImageWasNotAssessedIsNamedInItsOutcome(t *testing.T) {
	broken := func(names ...string) func(*fixtures.Tree) {
		return func(tree *fixtures.Tree) {
			for _, name := range names {
				tree.File(name+"/packages.lock.json", "{broken")
			}
		}
	}
	for says, image := range map[string]string{
		"  outcome   1 part of the image was not assessed: opt/a/packages.lock.json: dotnet/":          sif(t, broken("opt/a")),
		"  outcome   2 parts of the image were not assessed, first: opt/a/packages.lock.json: dotnet/": sif(t, broken("opt/a", "opt/b")),
	} {
		if _, documents := made(t, "--report-formats=table", image); !bytes.Contains(documents["report.txt"], []byte(says)) {
			t.Errorf("%s\ndoes not say %q", documents["report.txt"], says)
		}
	}
}

func TestHostileNamesInAnImageAreEscapedInEveryDocument(t *testing.T) {
	hostile := func(tree *fixtures.Tree) {
		const name = "root/\x1b[2J\u202egpj.\xff\n[a](b){0}"
		tree.File(name+".env", "password glpat-"+strings.Repeat("Ab3", 7)[:20]+"\n").
			File("usr/lib/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"\x1b[2J\u202e"+strings.Repeat("x", 1<<20)+"\"\n").
			File(name+"/node_modules/x/package.json", `{"name": "x\u001b[2J\u202e`+strings.Repeat("y", 1<<10)+`", "version": "1"}`)
	}
	line, documents := made(t, "--db", database(t), "--formats=json,spdx,cyclonedx", "--report-formats=sarif,table", "--scan-types=pkg,secret", sif(t, hostile))
	documents["printed"] = []byte(line)
	for name, text := range documents {
		if len(text) > 64<<10 {
			t.Errorf("%s has %d bytes", name, len(text))
		}
		for row := range strings.Lines(string(text)) {
			if !printable.Safe(strings.TrimSuffix(row, "\n")) {
				t.Errorf("%s: %.300q", name, row)
			}
		}
		if regexp.MustCompile(`[^\\]\\u(001b|202e)`).Match(text) {
			t.Errorf("%s hands on what nobody should see:\n%.2000s", name, text)
		}
	}
	if counts := countTable(t, documents["report.txt"]); counts["secrets"] != 1 {
		t.Errorf("the secret is not in the table:\n%.2000s", documents["report.txt"])
	}
}

func TestTrivysFindingsBecomeTheSameDocuments(t *testing.T) {
	out := t.TempDir()
	code, printed, report, _ := scanWithTrivy(t, sif(t), "--db="+trivyCache(t, false), "--scan-types=pkg,secret", "--report-formats=sarif,table", "--output-dir="+out)
	if code != 0 || report.Summary != nil { // the last --output-dir counts
		t.Fatalf("exit code %d, %+v\n%s", code, report, printed)
	}
	for name, says := range map[string]string{
		"report.sarif": `"ruleId":"CVE-2099-0001"`, "report.txt": "CRITICAL  CVE-2099-0001", "sbom.cdx.json": `"id": "CVE-2099-0001"`, "report.json": `"secrets": 1`,
	} {
		found, _ := filepath.Glob(filepath.Join(out, "*", name))
		if len(found) != 1 {
			t.Errorf("%s: %v", name, found)
			continue
		}
		if text, err := os.ReadFile(found[0]); err != nil || !bytes.Contains(text, []byte(says)) {
			t.Errorf("%s does not say %s (%v):\n%s", name, says, err, text)
		}
	}
}

func TestQscannersOwnSARIFStaysAsItIs(t *testing.T) {
	b := newBench(t)
	for asked, want := range map[string]int{"sarif": 1, "table": 0} {
		t.Run(asked, func(t *testing.T) {
			out := t.TempDir()
			cmd := b.process(sif(t), "--mode=get-report", "--gateway-url="+b.gateway.URL, "--report-formats="+asked, "--output-dir="+out)
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, cmd.Stdout)
			}
			names, _ := filepath.Glob(filepath.Join(out, "*", "report.sarif"))
			if len(names) != want {
				t.Fatalf("found %v", names)
			}
			for _, name := range names {
				if text, err := os.ReadFile(name); err != nil || !bytes.Contains(text, []byte("vulnerableSoftware")) {
					t.Errorf("it is not qscanner's: %.300s (%v)", text, err)
				}
			}
		})
	}
}
