package trivy

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

var database = &engine.Database{Digest: "sha256:0"}

// reportOf is trivy's JSON with one result.
func reportOf(result string) []byte {
	return fmt.Appendf(nil, `{"SchemaVersion": 2, "Trivy": {"Version": "0.74.0"}, "Results": [{"Target": "x", %s}]}`, result)
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
			var r engine.Result
			e := &Engine{database: database}
			if err := e.readReport(&r, reportOf(`"Vulnerabilities": [{`+c.text+`, `+place+`}]`)); err != nil {
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

func TestAPackageIsReadWithReleaseAndSource(t *testing.T) {
	var r engine.Result
	err := (&Engine{database: database}).readReport(&r, reportOf(`"Packages": [
{"Name": "libz", "Version": "1.2", "Release": "3.el9", "Arch": "x86_64", "SrcName": "zlib", "SrcVersion": "1.2", "SrcRelease": "3.el9",
 "Identifier": {"PURL": "pkg:rpm/redhat/libz@1.2-3.el9"}, "Licenses": "MIT"},
{"Name": "no-url"}, 7]`))
	if err != nil || len(r.Packages) != 1 || len(r.Warnings) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	want := engine.Package{Name: "libz", Version: "1.2-3.el9", Type: "rpm", PURL: "pkg:rpm/redhat/libz@1.2-3.el9", SourceName: "zlib",
		Architecture: "x86_64", Licenses: []string{"MIT"}, Locations: []string{}, FoundBy: []string{Name}}
	if diff := cmp.Diff(want, r.Packages[0]); diff != "" {
		t.Error(diff)
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
			var r engine.Result
			if err := (&Engine{database: database}).readReport(&r, []byte(text)); err == nil {
				t.Errorf("it gives %d packages", len(r.Packages))
			}
		})
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
