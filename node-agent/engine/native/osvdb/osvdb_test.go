package osvdb

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// rec builds an OSV record. Identifiers are made up; CVE-0000 exists nowhere.
type rec map[string]any

func advisory(id string) rec {
	return rec{"id": id, "modified": "2026-10-01T00:00:00Z", "summary": "summary of " + id}
}

func (r rec) with(field string, value any) rec { r[field] = value; return r }

func (r rec) aliases(ids ...string) rec  { return r.with("aliases", ids) }
func (r rec) upstream(ids ...string) rec { return r.with("upstream", ids) }

func (r rec) cvss(kind, vector string) rec {
	return r.with("severity", []rec{{"type": kind, "score": vector}})
}

// affects adds a package with events "introduced 1", "fixed 2", ….
func (r rec) affects(ecosystem, name string, events ...string) rec {
	var list []rec
	for _, e := range events {
		kind, version, _ := strings.Cut(e, " ")
		list = append(list, rec{kind: version})
	}
	return r.affected(rec{
		"package": rec{"ecosystem": ecosystem, "name": name},
		"ranges":  []rec{{"type": "ECOSYSTEM", "events": list}},
	})
}

func (r rec) affected(a rec) rec {
	list, _ := r["affected"].([]rec)
	return r.with("affected", append(list, a))
}

const (
	criticalV3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"                    // 9.8
	highV4     = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N" // 8.7
	mediumV2   = "AV:N/AC:M/Au:N/C:P/I:N/A:N"                                      // 4.3
	lowV30     = "CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"                    // 1.8
)

func write(t testing.TB, dir string, records ...rec) {
	t.Helper()
	for _, r := range records {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(r["id"])+".json"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// database builds and opens a database of the records.
func database(t testing.TB, records ...rec) *DB {
	t.Helper()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "osv.db")
	write(t, dir, records...)
	if _, err := Build(context.Background(), out, Source{From: dir, Now: built}); err != nil {
		t.Fatal(err)
	}
	db, err := Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // opened for reading
	return db
}

func pkg(ecosystem, name, version string) engine.Package {
	return engine.Package{Name: name, Version: version, Ecosystem: ecosystem, PURL: "pkg:x/" + name + "@" + version}
}

func match(t testing.TB, db *DB, os engine.OS, packages ...engine.Package) Matches {
	t.Helper()
	m, err := db.Match(context.Background(), os, packages)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ids(m Matches) []string {
	var list []string
	for _, f := range m.Findings {
		list = append(list, f.ID)
	}
	return list
}

func TestVersionsAreComparedByTheRulesOfTheirEcosystem(t *testing.T) {
	tests := []struct {
		name     string
		record   rec
		pkg      engine.Package
		os       engine.OS
		affected bool
		fixed    string
	}{
		{"before the fix", advisory("A-1").affects("PyPI", "x", "introduced 0", "fixed 2.0"), pkg("PyPI", "x", "1.10"), engine.OS{}, true, "2.0"},
		{"1.10 is after 1.9", advisory("A-1").affects("PyPI", "x", "introduced 0", "fixed 1.9"), pkg("PyPI", "x", "1.10"), engine.OS{}, false, ""},
		{"at the fix", advisory("A-1").affects("PyPI", "x", "introduced 0", "fixed 2.0"), pkg("PyPI", "x", "2.0"), engine.OS{}, false, ""},
		{"before it was introduced", advisory("A-1").affects("npm", "x", "introduced 1.5.0", "fixed 2.0.0"), pkg("npm", "x", "1.4.9"), engine.OS{}, false, ""},
		{"at the last affected version", advisory("A-1").affects("npm", "x", "introduced 0", "last_affected 1.4.9"), pkg("npm", "x", "1.4.9"), engine.OS{}, true, ""},
		{"after the last affected version", advisory("A-1").affects("npm", "x", "introduced 0", "last_affected 1.4.9"), pkg("npm", "x", "1.5.0"), engine.OS{}, false, ""},
		{"in the second of two lines, with that line's fix", advisory("A-1").affects("npm", "x", "introduced 0", "fixed 1.2.0", "introduced 2.0.0", "fixed 2.3.0"), pkg("npm", "x", "2.1.0"), engine.OS{}, true, "2.3.0"},
		{"between two lines", advisory("A-1").affects("npm", "x", "introduced 0", "fixed 1.2.0", "introduced 2.0.0", "fixed 2.3.0"), pkg("npm", "x", "1.3.0"), engine.OS{}, false, ""},
		{"events in no order", advisory("A-1").affects("npm", "x", "fixed 2.3.0", "introduced 2.0.0", "fixed 1.2.0", "introduced 0"), pkg("npm", "x", "1.3.0"), engine.OS{}, false, ""},
		{"one version exactly", advisory("A-1").affects("npm", "x", "introduced 1.0.0", "last_affected 1.0.0"), pkg("npm", "x", "1.0.0"), engine.OS{}, true, ""},
		{"PyPI's names are one under their writings", advisory("A-1").affects("PyPI", "Foo.Bar_baz", "introduced 0"), pkg("PyPI", "foo-bar.baz", "1"), engine.OS{}, true, ""},
		{"NuGet's names have no case", advisory("A-1").affects("NuGet", "Newtonsoft.Json", "introduced 0", "fixed 13.0.1"), pkg("NuGet", "newtonsoft.json", "12.0.1"), engine.OS{}, true, "13.0.1"},
		{"a list of versions without a range", advisory("A-1").affected(rec{"package": rec{"ecosystem": "npm", "name": "x"}, "versions": []string{"6.6.6"}}), pkg("npm", "x", "6.6.6"), engine.OS{}, true, ""},
		{"a version not in the list", advisory("A-1").affected(rec{"package": rec{"ecosystem": "npm", "name": "x"}, "versions": []string{"6.6.6"}}), pkg("npm", "x", "6.6.7"), engine.OS{}, false, ""},
		{"Go's own library", advisory("A-1").affects("Go", "stdlib", "introduced 0", "fixed 1.21.4"), pkg("Go", "go", "1.21.3"), engine.OS{}, true, "1.21.4"},
		{"Debian's source package and its version", advisory("A-1").affects("Debian:12", "openssl", "introduced 0", "fixed 3.0.11-1~deb12u3"),
			engine.Package{Name: "libssl3", Version: "3.0.11-1~deb12u2+b1", SourceName: "openssl", SourceVersion: "3.0.11-1~deb12u2", Ecosystem: "Debian:12", PURL: "pkg:deb/debian/libssl3"}, engine.OS{}, true, "3.0.11-1~deb12u3"},
		{"another release of Debian", advisory("A-1").affects("Debian:11", "openssl", "introduced 0"), pkg("Debian:12", "openssl", "3"), engine.OS{}, false, ""},
		{"Ubuntu's long-term release", advisory("A-1").affects("Ubuntu:22.04:LTS", "openssl", "introduced 0", "fixed 3.0.2-0ubuntu1.15"), pkg("Ubuntu:22.04", "openssl", "3.0.2-0ubuntu1.10"), engine.OS{}, true, "3.0.2-0ubuntu1.15"},
		{"Alpine's origin", advisory("A-1").affects("Alpine:v3.19", "openssl", "introduced 0", "fixed 3.1.4-r6"),
			engine.Package{Name: "libcrypto3", Version: "3.1.4-r5", SourceName: "openssl", Ecosystem: "Alpine:v3.19", PURL: "pkg:apk/alpine/libcrypto3"}, engine.OS{}, true, "3.1.4-r6"},
		{"Rocky Linux by its major release", advisory("A-1").affects("Rocky Linux:9", "openssl-libs", "introduced 0", "fixed 1:3.0.7-28.el9"),
			engine.Package{Name: "openssl-libs", Version: "3.0.7-27.el9", Epoch: "1", Ecosystem: "Rocky Linux", PURL: "pkg:rpm/rocky/openssl-libs"}, engine.OS{Version: "9.4"}, true, "1:3.0.7-28.el9"},
		{"an epoch outweighs a version", advisory("A-1").affects("Rocky Linux:9", "openssl-libs", "introduced 0", "fixed 9.0-1.el9"),
			engine.Package{Name: "openssl-libs", Version: "3.0.7-27.el9", Epoch: "1", Ecosystem: "Rocky Linux", PURL: "pkg:rpm/rocky/openssl-libs"}, engine.OS{Version: "9.4"}, false, ""},
		{"any repository of a release of RHEL", advisory("A-1").affects("Red Hat:enterprise_linux:9::appstream", "git", "introduced 0", "fixed 0:2.43.5-1.el9_4"),
			pkg("Red Hat:enterprise_linux:9::baseos", "git", "2.43.0-1.el9"), engine.OS{}, true, "0:2.43.5-1.el9_4"},
		{"a module of SUSE Linux Enterprise", advisory("A-1").affects("SUSE:Linux Enterprise Module for Basesystem 15 SP5", "openssl-3", "introduced 0", "fixed 3.0.8-150500.5.20.1"),
			engine.Package{Name: "libopenssl3", Version: "3.0.8-150500.5.17.1", SourceName: "openssl-3", Ecosystem: "SUSE:15.5", PURL: "pkg:rpm/suse/libopenssl3"}, engine.OS{}, true, "3.0.8-150500.5.20.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := match(t, database(t, tt.record), tt.os, tt.pkg)
			if got := len(m.Findings) == 1; got != tt.affected {
				t.Fatalf("affected = %v, findings %+v, not assessed %d", got, m.Findings, m.NotAssessed)
			}
			if tt.affected && m.Findings[0].FixedVersion != tt.fixed {
				t.Errorf("fixed in %q, want %q", m.Findings[0].FixedVersion, tt.fixed)
			}
		})
	}
}

func TestSeverityComesFromTheBestSourceThereIs(t *testing.T) {
	x := func(r rec) rec { return r.affects("PyPI", "x", "introduced 0") }
	specific := func(id, word string) rec {
		return advisory(id).affected(rec{"package": rec{"ecosystem": "PyPI", "name": "x"}, "ecosystem_specific": rec{"urgency": word},
			"ranges": []rec{{"type": "ECOSYSTEM", "events": []rec{{"introduced": "0"}}}}})
	}
	tests := []struct {
		name     string
		records  []rec
		severity engine.Severity
		score    float64
		source   string
	}{
		{"CVSS 4", []rec{x(advisory("GHSA-1")).cvss("CVSS_V4", highV4)}, engine.SeverityHigh, 8.7, "CVSS 4.0"},
		{"CVSS 3.1", []rec{x(advisory("GHSA-1")).cvss("CVSS_V3", criticalV3)}, engine.SeverityCritical, 9.8, "CVSS 3.1"},
		{"CVSS 3.0", []rec{x(advisory("GHSA-1")).cvss("CVSS_V3", lowV30)}, engine.SeverityLow, 1.8, "CVSS 3.0"},
		{"CVSS 2", []rec{x(advisory("GHSA-1")).cvss("CVSS_V2", mediumV2)}, engine.SeverityMedium, 4.3, "CVSS 2.0"},
		{"the newest version of several", []rec{x(advisory("GHSA-1")).with("severity", []rec{{"type": "CVSS_V2", "score": mediumV2}, {"type": "CVSS_V4", "score": highV4}, {"type": "CVSS_V3", "score": criticalV3}})}, engine.SeverityHigh, 8.7, "CVSS 4.0"},
		{"a vector that is none is passed over", []rec{x(advisory("GHSA-1")).cvss("CVSS_V3", "CVSS:3.1/AV:X").with("database_specific", rec{"severity": "LOW"})}, engine.SeverityLow, 0, "GHSA"},
		{"the alias's", []rec{x(advisory("PYSEC-1").aliases("CVE-0000-1")), advisory("GHSA-1").aliases("CVE-0000-1").cvss("CVSS_V3", criticalV3)}, engine.SeverityCritical, 9.8, "CVSS 3.1 of GHSA-1"},
		{"the alias's before the distribution's word", []rec{specific("DEBIAN-CVE-0000-1", "low").upstream("CVE-0000-1"), advisory("CVE-0000-1").cvss("CVSS_V3", criticalV3)}, engine.SeverityCritical, 9.8, "CVSS 3.1 of CVE-0000-1"},
		{"the distribution's word", []rec{specific("DEBIAN-CVE-0000-1", "medium")}, engine.SeverityMedium, 0, "DEBIAN"},
		{"GitHub's word", []rec{x(advisory("GHSA-1")).with("database_specific", rec{"severity": "MODERATE"})}, engine.SeverityMedium, 0, "GHSA"},
		{"Ubuntu's word among the scores", []rec{x(advisory("UBUNTU-CVE-0000-1")).cvss("Ubuntu", "negligible")}, engine.SeverityLow, 0, "UBUNTU"},
		{"nobody's", []rec{x(advisory("GO-1")).with("database_specific", rec{"severity": 7})}, engine.SeverityUnknown, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := match(t, database(t, tt.records...), engine.OS{}, pkg("PyPI", "x", "1"))
			if len(m.Findings) != 1 {
				t.Fatalf("findings = %+v", m.Findings)
			}
			f := m.Findings[0]
			if f.Severity != tt.severity || f.Score != tt.score || f.Source != tt.source {
				t.Errorf("severity %q, score %v by %q; want %q, %v by %q", f.Severity, f.Score, f.Source, tt.severity, tt.score, tt.source)
			}
		})
	}
}

func TestRecordsOfOneVulnerabilityAreOneFindingUnderItsCVE(t *testing.T) {
	db := database(t,
		advisory("PYSEC-1").aliases("CVE-0000-1", "GHSA-1").affects("PyPI", "x", "introduced 0", "fixed 2"),
		advisory("GHSA-1").aliases("CVE-0000-1").cvss("CVSS_V3", criticalV3).affects("PyPI", "x", "introduced 0", "fixed 2"),
	)
	p := pkg("PyPI", "x", "1")
	p.Locations = []string{"opt/x.dist-info/METADATA"}
	want := []engine.Finding{{
		ID: "CVE-0000-1", IDs: engine.IDs{CVE: "CVE-0000-1", GHSA: "GHSA-1", Advisories: []string{"GHSA-1", "PYSEC-1"}},
		Package: "x", Version: "1", PURL: p.PURL, Path: "opt/x.dist-info/METADATA",
		Severity: engine.SeverityCritical, Score: 9.8, Vector: criticalV3, Source: "CVSS 3.1", FixedVersion: "2", Summary: "summary of GHSA-1",
	}}
	if diff := cmp.Diff(want, match(t, db, engine.OS{}, p).Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestAPackageForTwoArchitecturesIsOneFindingAndOneThatIsNotAssessed(t *testing.T) {
	db := database(t, advisory("CVE-0000-1").affects("Debian:12", "x", "introduced 0"))
	var packages []engine.Package
	for _, name := range []string{"x", "y"} {
		for _, arch := range []string{"amd64", "i386"} {
			p := pkg(map[string]string{"x": "Debian:12", "y": "Debian:11"}[name], name, "1")
			p.PURL += "?arch=" + arch
			packages = append(packages, p)
		}
	}
	m := match(t, db, engine.OS{}, packages...)
	if len(m.Findings) != 1 || m.Findings[0].PURL != "pkg:x/x@1?arch=amd64" || m.NotAssessed != 1 {
		t.Errorf("findings %+v, not assessed %d", m.Findings, m.NotAssessed)
	}
}

func TestAnAdvisoryAboutSeveralIsAFindingForEach(t *testing.T) {
	db := database(t,
		advisory("RLSA-2026:1").upstream("CVE-0000-2", "CVE-0000-1").with("database_specific", rec{"severity": "Important"}).affects("Rocky Linux:9", "x", "introduced 0", "fixed 2"),
		advisory("CVE-0000-1").cvss("CVSS_V3", criticalV3),
	)
	m := match(t, db, engine.OS{Version: "9.4"}, pkg("Rocky Linux", "x", "1"))
	if diff := cmp.Diff([]string{"CVE-0000-1", "CVE-0000-2"}, ids(m)); diff != "" {
		t.Fatalf("findings (-want +got):\n%s", diff)
	}
	if a, b := m.Findings[0], m.Findings[1]; a.Severity != engine.SeverityCritical || b.Severity != engine.SeverityHigh || b.Source != "RLSA" {
		t.Errorf("severities %q and %q", a.Severity, b.Severity)
	}
}

func TestWhatWasNotAssessedIsCountedAndNeverClean(t *testing.T) {
	db := database(t, advisory("GHSA-1").affects("PyPI", "other", "introduced 0"))
	tests := []struct {
		name string
		pkg  engine.Package
		want int
	}{
		{"an ecosystem with data and no record of the package", pkg("PyPI", "x", "1"), 0},
		{"an ecosystem without data", pkg("npm", "x", "1.0.0"), 1},
		{"no ecosystem", pkg("", "x", "1"), 1},
		{"an ecosystem nobody knows", pkg("Cobol:85", "x", "1"), 1},
		{"a version that says nothing", pkg("PyPI", "other", "unknown"), 1},
		{"no version", pkg("PyPI", "other", ""), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if m := match(t, db, engine.OS{}, tt.pkg); m.NotAssessed != tt.want || len(m.Findings) != 0 {
				t.Errorf("not assessed %d, findings %v", m.NotAssessed, m.Findings)
			}
		})
	}
}

func TestAWithdrawnRecordIsIgnored(t *testing.T) {
	db := database(t,
		advisory("GHSA-1").with("withdrawn", "2026-10-02T00:00:00Z").affects("PyPI", "x", "introduced 0"),
		advisory("GHSA-2").aliases("CVE-0000-2").affects("PyPI", "y", "introduced 0"),
		advisory("CVE-0000-2").with("withdrawn", "2026-10-02T00:00:00Z").cvss("CVSS_V3", criticalV3))
	if m := match(t, db, engine.OS{}, pkg("PyPI", "x", "1")); len(m.Findings) != 0 || m.NotAssessed != 0 {
		t.Errorf("matches = %+v", m)
	}
	if m := match(t, db, engine.OS{}, pkg("PyPI", "y", "1")); len(m.Findings) != 1 || m.Findings[0].Severity != engine.SeverityUnknown {
		t.Errorf("the severity is a withdrawn record's: %+v", m)
	}
}

func TestADatabaseIsBuiltFromZipFilesAndEqualRecordsMakeEqualDigests(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "PyPI"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "PyPI", "all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	records := []rec{
		advisory("GHSA-1").affects("PyPI", "x", "introduced 0"),
		advisory("GHSA-2").with("modified", "2026-10-20T10:00:00Z").affects("PyPI", "y", "introduced 0").affects("npm", "y", "introduced 0"),
	}
	for _, r := range records {
		w, err := z.Create(r["id"].(string) + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(w).Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "osv.db")
	info, err := Build(context.Background(), out, Source{From: dir, Now: built})
	if err != nil {
		t.Fatal(err)
	}
	want := Info{
		Digest: info.Digest, BuiltAt: built, UpdatedAt: time.Date(2026, 10, 20, 10, 0, 0, 0, time.UTC),
		Records: 2, Packages: 3, Ecosystems: map[string]int{"PyPI": 2, "npm": 1},
	}
	if diff := cmp.Diff(want, info); diff != "" || !strings.HasPrefix(info.Digest, "sha256:") {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	if again := database(t, records[1], records[0]).Info(); again.Digest != info.Digest {
		t.Errorf("digest %s of the same records, then %s", info.Digest, again.Digest)
	}
	if other := database(t, records[0]).Info(); other.Digest == info.Digest {
		t.Error("other records have the same digest")
	}
}

func TestRecordsAreAddedToADatabaseAndReplaceItsOwn(t *testing.T) {
	base, out, add := filepath.Join(t.TempDir(), "base.db"), filepath.Join(t.TempDir(), "osv.db"), t.TempDir()
	from := t.TempDir()
	write(t, from, advisory("GHSA-1").affects("PyPI", "x", "introduced 0", "fixed 2"), advisory("GHSA-2").affects("PyPI", "y", "introduced 0"))
	if _, err := Build(context.Background(), base, Source{From: from, Now: built}); err != nil {
		t.Fatal(err)
	}
	write(t, add, advisory("GHSA-1").affects("PyPI", "x", "introduced 0", "fixed 3"), advisory("CVE-0000-9").affects("PyPI", "z", "introduced 0"))
	info, err := Build(context.Background(), out, Source{Base: base, Add: add, Now: built})
	if err != nil {
		t.Fatal(err)
	}
	if info.Records != 3 {
		t.Errorf("%d records", info.Records)
	}
	db, err := Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // opened for reading
	m := match(t, db, engine.OS{}, pkg("PyPI", "x", "2"), pkg("PyPI", "y", "1"), pkg("PyPI", "z", "1"))
	if diff := cmp.Diff([]string{"CVE-0000-9", "GHSA-1", "GHSA-2"}, ids(m)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestABuildThatFailsLeavesTheOldDatabaseAndNothingElse(t *testing.T) {
	dir, broken := t.TempDir(), t.TempDir()
	out := filepath.Join(dir, "osv.db")
	write(t, broken, advisory("GHSA-1").affects("PyPI", "x", "introduced 0"))
	if _, err := Build(context.Background(), out, Source{From: broken, Now: built}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "half.json"), []byte(`{"id":"GHSA-`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Build(context.Background(), out, Source{From: broken, Now: built})
	if err == nil || !strings.Contains(err.Error(), "half.json: not a usable OSV record") {
		t.Errorf("err = %v", err)
	}
	if _, err := Build(context.Background(), out, Source{From: t.TempDir(), Now: built}); err == nil {
		t.Error("a directory without records made a database")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("files left: %v %v", entries, err)
	}
	db, err := Open(out)
	if err != nil {
		t.Fatal(err)
	}
	db.Close() //nolint:errcheck // opened for reading
}

func TestAFileThatIsNoDatabaseIsRefused(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "osv.db")
	from := t.TempDir()
	write(t, from, advisory("GHSA-1").affects("PyPI", "x", "introduced 0"))
	if _, err := Build(context.Background(), whole, Source{From: from, Now: built}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(data) {
		cut := filepath.Join(t.TempDir(), "cut.db")
		if err := os.WriteFile(cut, data[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(cut); !errors.Is(err, ErrFormat) {
			t.Fatalf("%d of %d bytes: %v", n, len(data), err)
		}
	}
}

func TestWhatWasLookedUpIsNotReadAgain(t *testing.T) {
	db := database(t, advisory("A-1").affects("PyPI", "flawed", "introduced 0", "fixed 2.0"))
	packages := []engine.Package{pkg("PyPI", "flawed", "1.0"), pkg("PyPI", "flawed", "2.0"), pkg("PyPI", "clean", "1.0"), pkg("PyPI", "", "unknown")}
	first, err := db.Match(t.Context(), engine.OS{}, packages)
	if err != nil || len(first.Findings) != 1 || first.NotAssessed != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := db.Match(t.Context(), engine.OS{}, packages)
	if diff := cmp.Diff(first, again); err != nil || diff != "" {
		t.Errorf("%v (-first +again):\n%s", err, diff)
	}
	if _, err := db.Match(t.Context(), engine.OS{}, []engine.Package{pkg("PyPI", "flawed", "1.1")}); err == nil {
		t.Error("another version has the answer of the first")
	}
}

func TestWhatIsRememberedIsBoundedByItsBytes(t *testing.T) {
	var a answers
	long := strings.Repeat("x", maxAnswers/8)
	for i := range 20 {
		c := candidate{"PyPI", long, fmt.Sprint(i)}
		a.remember(c, []hit{{&entry{}, "", 1}})
		if _, known := a.of(c); !known || a.size > maxAnswers || len(a.hits) > 8 {
			t.Fatalf("after %d: %d bytes of %d answers, known: %v", i, a.size, len(a.hits), known)
		}
	}
	before := len(a.hits)
	huge := candidate{"PyPI", "huge", "1"}
	a.remember(huge, []hit{{&entry{}, "", maxAnswers}})
	if _, known := a.of(huge); known || len(a.hits) != before {
		t.Error("an answer above the bound is remembered")
	}
}
