// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/fixtures"
	"github.com/sifscan/sifscan-operator/test/schemas"
)

// trivyCache is a cache directory as trivy downloads it; the double does not read the databases.
func trivyCache(t *testing.T, java bool) string {
	t.Helper()
	tree := fixtures.NewTree(t.TempDir()).File("db/trivy.db", "").
		File("db/metadata.json", `{"Version":2,"NextUpdate":"2026-11-02T00:00:00Z","UpdatedAt":"2026-11-01T00:00:00Z"}`)
	if java {
		tree.File("java-db/trivy-java.db", "")
	}
	if err := tree.Done(); err != nil {
		t.Fatal(err)
	}
	return tree.Root
}

// scanWithTrivy runs the agent with trivy's double over an image. Documents, all of them the agent's own, are valid whatever
// trivy wrote.
func scanWithTrivy(t *testing.T, image string, args ...string) (code int, printed string, report v1alpha1.Report, out string) {
	t.Helper()
	out, tmp := t.TempDir(), t.TempDir()
	all := append([]string{"scan", "--engine=trivy", "--trivy-binary=" + double(t, "trivy-double"), "--tmp-dir=" + tmp, "--output-dir=" + out,
		"--formats=json,spdx,cyclonedx"}, args...)
	code, stdout, stderr := agent(context.Background(), append(all, image)...)
	if left, _ := os.ReadDir(tmp); len(left) != 0 {
		t.Errorf("left in the tmp directory: %v", left)
	}
	schemas.Check(t, written(t, out))
	names, _ := filepath.Glob(filepath.Join(out, "*", "report.json"))
	for _, name := range names {
		var r v1alpha1.ScanReport
		text, err := os.ReadFile(name)
		if err = errors.Join(err, json.Unmarshal(text, &r)); err != nil {
			t.Fatal(err)
		}
		report = r.Report
	}
	return code, stdout + stderr, report, out
}

func TestTrivyMatchesPackagesWithTheSitesDatabase(t *testing.T) {
	code, printed, report, out := scanWithTrivy(t, sif(t), "--db="+trivyCache(t, false), "--exclude-dirs=/opt/data")
	if code != 0 || report.Summary.Packages != 3 || report.Summary.NotAssessed != 0 || len(report.Findings) != 1 {
		t.Fatalf("exit code %d, report %+v\n%s", code, report, printed)
	}
	f := report.Findings[0]
	if f.IDs.CVE != "CVE-2099-0001" || f.Severity != "critical" || f.Score != "9.8" || f.FixedVersion != "99.0" {
		t.Errorf("the finding is %+v", f)
	}
	if report.Scanner.Version != "double-0.74.0" || report.Scanner.Database == nil || report.Scanner.Database.UpdatedAt.Year() != 2026 {
		t.Errorf("scanner is %+v", report.Scanner)
	}
	for _, name := range []string{"inventory.json", "sbom.spdx.json", "sbom.cdx.json"} {
		if found, _ := filepath.Glob(filepath.Join(out, "*", name)); len(found) != 1 {
			t.Errorf("%s: found %v", name, found)
		}
	}
}

func TestTrivyWithoutADatabase(t *testing.T) {
	jar := func(tree *fixtures.Tree) { tree.File("opt/app.jar", "PK") }
	odd := func(tree *fixtures.Tree) { tree.File(`opt/a,"[b]*{c}\d/app.jar`, "PK") }
	for name, c := range map[string]struct {
		image    string
		args     []string
		exit     int
		says     string
		reason   string
		packages int32
	}{
		"nothing is named":              {image: sif(t), exit: 2, says: "name a cache directory"},
		"an empty directory is named":   {image: sif(t), args: []string{"--db=" + t.TempDir()}, exit: 2, says: "db/trivy.db"},
		"only an inventory is wanted":   {image: sif(t), args: []string{"--mode=inventory-only"}, packages: 3},
		"a JAR needs the Java database": {image: sif(t, jar), args: []string{"--db=" + trivyCache(t, false)}, exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "without its Java database: put java-db/"},
		"so it does for an inventory":   {image: sif(t, jar), args: []string{"--mode=inventory-only"}, exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "without its Java database"},
		"a directory of an odd name":    {image: sif(t, odd), args: []string{"--db=" + trivyCache(t, false), `--exclude-dirs="/opt/a,""[b]*{c}\d"`}, packages: 3},
		"and none that is a pattern":    {image: sif(t, odd), args: []string{"--db=" + trivyCache(t, false), "--exclude-dirs=/opt/*"}, exit: 1, reason: v1alpha1.ReasonEngineFailed, says: "Java database"},
		"but not where it is excluded":  {image: sif(t, jar), args: []string{"--db=" + trivyCache(t, false), "--exclude-dirs=/opt"}, packages: 3},
		"a JAR has the Java database":   {image: sif(t, jar), args: []string{"--db=" + trivyCache(t, true)}, packages: 3},
		"a scan type it does not know":  {image: sif(t), args: []string{"--scan-types=fileinsight"}, exit: 2, says: "pkg and secret"},
		"a mode it does not know":       {image: sif(t), args: []string{"--mode=scan-only"}, exit: 2, says: "inventory-only, get-report and evaluate-policy"},
	} {
		t.Run(name, func(t *testing.T) {
			code, printed, report, _ := scanWithTrivy(t, c.image, c.args...)
			if code != c.exit || !strings.Contains(printed, c.says) || report.Outcome.Reason != c.reason {
				t.Errorf("exit code %d, want %d with %q; outcome %+v\n%s", code, c.exit, c.says, report.Outcome, printed)
			}
			if c.packages > 0 && (report.Summary == nil || report.Summary.Packages != c.packages) {
				t.Errorf("summary %+v", report.Summary)
			}
		})
	}
}

func TestAnImageDoesNotTellTrivyWhatToFind(t *testing.T) {
	code, printed, report, _ := scanWithTrivy(t, sif(t, func(tree *fixtures.Tree) {
		tree.File(".trivyignore", "CVE-2099-0001\n").File("trivy.yaml", "severity: [LOW]\n").File("trivy-secret.yaml", "enable-builtin-rules: []\n")
	}), "--db="+trivyCache(t, false))
	if code != 0 || len(report.Findings) != 1 {
		t.Errorf("exit code %d, findings %+v\n%s", code, report.Findings, printed)
	}
}

func TestASearchForSecretsAloneSaysNothingOfVulnerabilities(t *testing.T) {
	_, printed, trivys, _ := scanWithTrivy(t, sif(t), "--db="+trivyCache(t, false), "--scan-types=secret")
	_, more, qscanners := newBench(t).scan(sif(t), "--scan-types=secret")
	for _, report := range []v1alpha1.Report{trivys, qscanners} {
		vulnerability := func(f v1alpha1.Finding) bool { return f.DetectedBy != "secret" }
		if s := report.Summary; report.Outcome.Reason != "" || s == nil || s.Critical != nil || s.Packages != 0 || slices.ContainsFunc(report.Findings, vulnerability) {
			t.Errorf("%s: outcome %+v, summary %+v\n%s%s", report.Scanner.Engine, report.Outcome, s, printed, more)
		}
	}
}

func TestTrivysSecretsAreKeptByRuleAndPlaceAlone(t *testing.T) {
	code, printed, _, out := scanWithTrivy(t, sif(t), "--db="+trivyCache(t, false), "--scan-types=pkg,secret")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, printed)
	}
	names, _ := filepath.Glob(filepath.Join(out, "*", "*"))
	for _, name := range names {
		if text, err := os.ReadFile(name); err != nil || strings.Contains(string(text), "the double's secret") {
			t.Errorf("%s holds the secret (%v)", name, err)
		}
	}
}

// toldTrivy makes trivy's double misbehave in an image.
func toldTrivy(instructions string) func(*fixtures.Tree) {
	return func(t *fixtures.Tree) { t.File(".trivy-double", instructions) }
}

func TestHostileOutputsOfTrivyAreExplained(t *testing.T) {
	for name, c := range map[string]struct {
		told, reason, says string
		args               []string
	}{
		"a report of 100 MB":                  {told: "output huge\n", reason: v1alpha1.ReasonEngineFailed, says: "a value of more than 8 MiB"},
		"a report nested a million deep":      {told: "output deep\n", reason: v1alpha1.ReasonEngineFailed, says: "max depth"},
		"a report of other types":             {told: "output wrong-types\n", reason: v1alpha1.ReasonEmptyInventory, says: "no package"},
		"a report of a million packages":      {told: "output elements\n", reason: v1alpha1.ReasonEngineFailed, says: "more than 250000"},
		"a report that is cut":                {told: "output cut\n", reason: v1alpha1.ReasonEngineFailed, says: "unexpected EOF"},
		"an empty report":                     {told: "output empty\n", reason: v1alpha1.ReasonEngineFailed, says: "EOF"},
		"no report":                           {told: "output missing\n", reason: v1alpha1.ReasonEngineFailed, says: "not written"},
		"a link for a report":                 {told: "output link\n", reason: v1alpha1.ReasonEngineFailed, says: "symbolic link"},
		"a FIFO for a report":                 {told: "output fifo\n", reason: v1alpha1.ReasonEngineFailed, says: "no regular file"},
		"a directory for a report":            {told: "output directory\n", reason: v1alpha1.ReasonEngineFailed, says: "no regular file"},
		"a report that is not UTF-8":          {told: "output invalid-utf8\n", says: "inventory.json is left out: trivy's file: it is not UTF-8"},
		"a package name of terminal escapes":  {told: "output escapes\n"},
		"an inventory of 100 MB":              {told: "output huge\n", args: []string{"--mode=inventory-only"}, reason: v1alpha1.ReasonEngineFailed, says: "it has 100 MiB"},
		"an inventory nested a million deep":  {told: "output deep\n", args: []string{"--mode=inventory-only"}, reason: v1alpha1.ReasonEngineFailed, says: "max depth"},
		"an inventory of other types":         {told: "output wrong-types\n", args: []string{"--mode=inventory-only"}, reason: v1alpha1.ReasonEmptyInventory, says: "no package"},
		"a crash":                             {told: "crash\n", reason: v1alpha1.ReasonEngineFailed, says: "trivy crashed; it said: panic: the double crashes"},
		"a signal":                            {told: "die\n", reason: v1alpha1.ReasonEngineFailed, says: "ended by signal killed"},
		"an exit code nobody knows":           {told: "exit 77\n", reason: v1alpha1.ReasonEngineFailed, says: "exit code 77"},
		"200 MB on its streams, and an end":   {told: "shout 100\n"},
		"200 MB on its streams, and a crash":  {told: "shout 100\ncrash\n", reason: v1alpha1.ReasonEngineFailed, says: "trivy crashed"},
		"200 MB on its streams, and an error": {told: "shout 100\nexit 1\n", reason: v1alpha1.ReasonEngineFailed, says: "the last words"},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args
			if args == nil {
				args = []string{"--db=" + trivyCache(t, false), "--scan-types=pkg,secret"}
			}
			code, printed, report, out := scanWithTrivy(t, sif(t, toldTrivy(c.told)), append(args, "--report-formats=sarif,table")...)
			if report.Outcome.Reason != c.reason || !strings.Contains(report.Outcome.Message, c.says) || (code == 0) != (c.reason == "") {
				t.Errorf("exit code %d, outcome %+v, want %q with %q\n%s", code, report.Outcome, c.reason, c.says, printed)
			}
			nothingRaw(t, printed, out, "inventory.json")
		})
	}
}
