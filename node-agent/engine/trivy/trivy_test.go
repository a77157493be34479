package trivy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

var database = &engine.Database{Digest: "sha256:0"}

// reportOf is trivy's JSON with one result, of a Debian.
func reportOf(result string) string {
	return fmt.Sprintf(`{"SchemaVersion": 2, "Trivy": {"Version": "0.74.0"}, "Results": [{"Target": "x", "Class": "os-pkgs", "Type": "debian", %s}]}`, result)
}

// read reads a report as after a scan with the database.
func read(t *testing.T, text string, database *engine.Database) (*engine.Result, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), outputFile)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := readReport(file)
	if err != nil {
		return nil, err
	}
	r := &engine.Result{}
	report.result(r, database)
	return r, nil
}

func TestAVulnerabilityIsReadWithItsNamesItsSeverityAndItsScore(t *testing.T) {
	const place = `"PkgName": "zlib", "PkgIdentifier": {"PURL": "pkg:deb/debian/zlib@1.2"}, "InstalledVersion": "1.2"`
	base := engine.Finding{Package: "zlib", Version: "1.2", PURL: "pkg:deb/debian/zlib@1.2"}
	for name, c := range map[string]struct {
		text string
		want func(*engine.Finding)
	}{
		"a CVE with a distribution's name": {`"VulnerabilityID": "CVE-2024-1002", "VendorIDs": ["DSA-1", "GHSA-aaaa-bbbb-cccc"], "Severity": "HIGH", "FixedVersion": "1.3"`, func(f *engine.Finding) {
			f.ID, f.Severity, f.FixedVersion = "CVE-2024-1002", engine.SeverityHigh, "1.3"
			f.IDs = engine.IDs{CVE: "CVE-2024-1002", GHSA: "GHSA-aaaa-bbbb-cccc", Advisories: []string{"DSA-1"}}
		}},
		"an advisory that has a CVE": {`"VulnerabilityID": "GHSA-aaaa-bbbb-cccc", "VendorIDs": ["CVE-2024-1002"]`, func(f *engine.Finding) {
			f.ID, f.IDs = "CVE-2024-1002", engine.IDs{CVE: "CVE-2024-1002", GHSA: "GHSA-aaaa-bbbb-cccc"}
		}},
		"a severity nobody has given": {`"VulnerabilityID": "TEMP-1", "Severity": "UNKNOWN"`, func(f *engine.Finding) {
			f.ID, f.IDs = "TEMP-1", engine.IDs{Advisories: []string{"TEMP-1"}}
		}},
		"the score of who gave the severity": {`"VulnerabilityID": "TEMP-1", "SeveritySource": "ghsa", "CVSS": {"nvd": {"V3Score": 1}, "ghsa": {"V2Score": 5, "V3Score": 7.5, "V3Vector": "v3"}}`, func(f *engine.Finding) {
			f.ID, f.IDs, f.Source, f.Score, f.Vector = "TEMP-1", engine.IDs{Advisories: []string{"TEMP-1"}}, "ghsa", 7.5, "v3"
		}},
		"a score beyond the scale": {`"VulnerabilityID": "TEMP-1", "CVSS": {"nvd": {"V3Score": 11}}`, func(f *engine.Finding) {
			f.ID, f.IDs = "TEMP-1", engine.IDs{Advisories: []string{"TEMP-1"}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := read(t, reportOf(`"Vulnerabilities": [{`+c.text+`, `+place+`}]`), database)
			if err != nil {
				t.Fatal(err)
			}
			want := base
			c.want(&want)
			if diff := cmp.Diff([]engine.Finding{want}, r.Findings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPackageIsReadAsTheNativeEngineLists(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want engine.Package
	}{
		"an RPM": {`"Name": "libz", "Epoch": 1, "Version": "1.2", "Release": "3.el9", "Arch": "x86_64", "SrcName": "zlib", "SrcEpoch": 1, "SrcVersion": "1.2",
"SrcRelease": "3.el9", "Identifier": {"PURL": "pkg:rpm/redhat/libz@1.2-3.el9?epoch=1"}, "Licenses": "MIT"`,
			engine.Package{Name: "libz", Version: "1.2-3.el9", Type: "rpm", PURL: "pkg:rpm/redhat/libz@1.2-3.el9?epoch=1", Epoch: "1", SourceName: "zlib",
				Architecture: "x86_64", Licenses: []string{"MIT"}, Locations: []string{}}},
		"a Debian package with an epoch": {`"Name": "zlib1g", "Epoch": 1, "Version": "1.2.13.dfsg", "Release": "1+b1", "SrcName": "zlib", "SrcEpoch": 1, "SrcVersion": "1.2.13.dfsg",
"SrcRelease": "1", "Identifier": {"PURL": "pkg:deb/debian/zlib1g@1.2.13.dfsg-1%2Bb1?epoch=1"}`,
			engine.Package{Name: "zlib1g", Version: "1:1.2.13.dfsg-1+b1", Type: "deb", PURL: "pkg:deb/debian/zlib1g@1.2.13.dfsg-1%2Bb1?epoch=1", SourceName: "zlib",
				SourceVersion: "1:1.2.13.dfsg-1", Locations: []string{}}},
		"a language package": {`"Name": "requests", "Version": "2.31.0", "FilePath": "/usr/lib/x", "Identifier": {"PURL": "pkg:pypi/requests@2.31.0"}`,
			engine.Package{Name: "requests", Version: "2.31.0", Type: "pypi", PURL: "pkg:pypi/requests@2.31.0", Locations: []string{"usr/lib/x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := read(t, reportOf(`"Packages": [{`+c.text+`}, {"Name": "no-url"}, 7]`), database)
			if err != nil || len(r.Packages) != 1 || len(r.Warnings) != 1 {
				t.Fatalf("%+v, %v", r, err)
			}
			c.want.FoundBy = []string{Name}
			if diff := cmp.Diff(c.want, r.Packages[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatTrivyHasNoAdvisoriesForIsNotAssessed(t *testing.T) {
	const zlib = `"Packages": [{"Name": "zlib", "Version": "1", "Identifier": {"PURL": "pkg:deb/debian/zlib@1?arch=a"}%s}, {"Name": "zlib", "Version": "1", "Identifier": {"PURL": "pkg:deb/debian/zlib@1?arch=b"}%[1]s}]`
	for name, c := range map[string]struct {
		before, more, after string
		want                int
	}{
		"a system it knows":                  {`"Class": "os-pkgs", "Type": "debian", `, "", "", 0},
		"a third party's package":            {`"Class": "os-pkgs", "Type": "debian", `, `, "Repository": {"Class": "third-party"}`, "", 1},
		"a system it does not know":          {`"Class": "os-pkgs", "Type": "fedora", `, "", "", 1},
		"no system":                          {`"Class": "os-pkgs", "Type": "none", `, "", "", 1},
		"a language it knows":                {`"Class": "lang-pkgs", "Type": "python-pkg", `, "", "", 0},
		"conda, of which it lists packages":  {`"Class": "lang-pkgs", "Type": "conda-pkg", `, "", "", 1},
		"a class that is said too late":      {``, "", `, "Class": "os-pkgs", "Type": "debian"`, 1},
		"a type of which no class is told":   {`"Type": "debian", `, "", "", 1},
		"a type that is another's neighbour": {`"Class": "lang-pkgs", "Type": "python-pkg"}, {`, "", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			text := `{"SchemaVersion": 2, "Results": [{` + c.before + fmt.Sprintf(zlib, c.more) + c.after + `}]}`
			r, err := read(t, text, database)
			if err != nil || r.NotAssessed != c.want {
				t.Errorf("%d not assessed, want %d; %v", r.NotAssessed, c.want, err)
			}
			if r, err = read(t, text, nil); err != nil || r.NotAssessed != 1 || r.Findings != nil {
				t.Errorf("without a database: %+v, %v", r, err)
			}
		})
	}
}

func TestAReportThatCannotBeReadIsNoneOfNothing(t *testing.T) {
	for name, text := range map[string]string{
		"empty":              ``,
		"another schema":     `{"SchemaVersion": 1, "Results": []}`,
		"no schema":          `{"Results": []}`,
		"cut":                `{"SchemaVersion": 2, "Results": [{"Packages": [{`,
		"nested too deep":    `{"SchemaVersion": 2, "x": ` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
		"a million packages": `{"SchemaVersion": 2, "Results": [{"Packages": [` + strings.Repeat(`{},`, 1_000_000) + `{}]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := read(t, text, database); err == nil {
				t.Errorf("it gives %d packages", len(r.Packages))
			}
		})
	}
}

func TestADirectoryIsSkippedByItsNameAndNotByAPattern(t *testing.T) {
	for dir, want := range map[string]string{
		"/opt":        "/w/[r]/opt",
		"/opt/[x]*?":  `/w/[r]/opt/\[x\]\*\?`,
		"/opt/a,b":    `"/w/[r]/opt/a,b"`,
		`/opt/q"r`:    `"/w/[r]/opt/q""r"`,
		`/opt/{p,q}\`: `"/w/[r]/opt/\{p,q\}\\"`,
	} {
		if got := literal("/w/[r]", dir); got != want {
			t.Errorf("%s becomes %s, want %s", dir, got, want)
		}
	}
}

func TestTheDatabaseIsNamedWithItsDateAndDigest(t *testing.T) {
	for name, c := range map[string]struct{ metadata, says string }{
		"as trivy downloads it": {`{"Version":2,"NextUpdate":"2026-11-02T00:00:00Z","UpdatedAt":"2026-11-01T06:00:00Z"}`, ""},
		"without a date":        {`{"Version":2}`, "UpdatedAt"},
		"of no JSON":            {`Version: 2`, "metadata.json"},
		"larger than metadata":  {strings.Repeat(" ", 2<<20), "at most 1"},
		"without metadata":      {"", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := fixtures.NewTree(t.TempDir()).File("db/trivy.db", "")
			if c.metadata != "" {
				tree.File("db/metadata.json", c.metadata)
			}
			db, err := readDatabase(tree.Root)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%+v, %v", db, err)
			}
			if err == nil && (db.UpdatedAt.Hour() != 6 || len(db.Digest) != len("sha256:")+64) {
				t.Errorf("database %+v", db)
			}
		})
	}
}

func TestPackagesComeWithTheNamesOfAllTheirFiles(t *testing.T) {
	files := strings.Repeat(`"/usr/src/linux-headers-6.1.0-18-common/include/linux/a.h", `, 30_000)
	var text strings.Builder
	for i := range 20 {
		fmt.Fprintf(&text, `{"Name": "headers-%d", "Version": "1", "Identifier": {"PURL": "pkg:deb/debian/headers-%d@1"}, "InstalledFiles": [%s"/"]}, `, i, i, files)
	}
	file := filepath.Join(t.TempDir(), outputFile)
	if err := os.WriteFile(file, []byte(reportOf(`"Packages": [`+text.String()+`{}]`)), 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := readReport(file)
	if err != nil || len(report.packages) != 20 || report.skipped != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if _, err := inventory(engine.Target{}, file); err == nil || !strings.Contains(err.Error(), "at most 32") {
		t.Errorf("a document of %d MiB is handed on: %v", text.Len()>>20, err)
	}
}

func TestTheCommandLineKeepsTrivyOffline(t *testing.T) {
	target := engine.Target{Directory: "/w/rootfs", ExcludeDirs: []string{"/opt", "/"}, ScanTypes: []engine.ScanType{engine.ScanPackages, engine.ScanSecrets}}
	offline := "-q rootfs --cache-dir /w/cache --skip-db-update --skip-java-db-update --offline-scan --skip-version-check --disable-telemetry --timeout 24h0m0s "
	for name, c := range map[string]struct {
		mode  Mode
		types []engine.ScanType
		want  string
	}{
		"packages and secrets": {GetReport, target.ScanTypes, "--scanners vuln,secret --list-all-pkgs --format json"},
		"packages":             {GetReport, nil, "--scanners vuln --list-all-pkgs --format json"},
		"an inventory":         {InventoryOnly, nil, "--format cyclonedx"},
	} {
		t.Run(name, func(t *testing.T) {
			target := target
			target.ScanTypes = c.types
			got := strings.Join((&Engine{config: Config{Mode: c.mode}}).arguments(context.Background(), target, "/w/cache", "/w/out"), " ")
			if want := offline + c.want + " --skip-dirs /w/rootfs/opt -o /w/out /w/rootfs"; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func FuzzReport(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.json")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"SchemaVersion": "2", "Results": [{"Packages": {"Name": []}, "Secrets": [{"RuleID": 7}]}, 1, null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := read(t, string(text), database)
		if err != nil {
			return
		}
		all := []string{r.EngineVersion}
		for _, p := range r.Packages {
			all = append(append(all, p.Name, p.Version, p.PURL, p.SourceName, p.SourceVersion, p.Epoch, p.Architecture), slices.Concat(p.Licenses, p.Locations)...)
		}
		for _, x := range r.Findings {
			all = append(append(all, x.ID, x.Package, x.Version, x.PURL, x.Path, x.Vector, x.Source, x.FixedVersion, x.Summary), x.IDs.Advisories...)
		}
		for _, x := range r.Secrets {
			all = append(all, x.Rule, x.Path)
		}
		for _, text := range all {
			if !printable.Safe(text) {
				t.Errorf("%q is kept of it", text)
			}
		}
		if r.NotAssessed > engine.Distinct(r.Packages) {
			t.Errorf("%d of %d packages not assessed", r.NotAssessed, engine.Distinct(r.Packages))
		}
	})
}
