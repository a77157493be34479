package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

type pkg struct {
	name, version string
	source        bool // of a lock file
}

func (p pkg) purl() string {
	if p.source {
		return "pkg:pypi/" + p.name + "@" + p.version
	}
	return "pkg:deb/debian/" + p.name + "@" + p.version + "?arch=amd64&distro=debian-12.5"
}

// walk reads dpkg's database and looks for JAR files, but not below what is skipped.
func (c *call) walk() (packages []pkg, jar bool, err error) {
	err = filepath.WalkDir(c.root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && c.skips(path):
			return filepath.SkipDir
		case e.Type().IsRegular() && strings.HasSuffix(path, ".jar"):
			jar = true
		case !c.source && path == filepath.Join(c.root, "var/lib/dpkg/status"):
			packages, err = dpkg(path)
		case c.source && path == filepath.Join(c.root, "requirements.txt"):
			packages, err = requirements(path)
		}
		return err
	})
	return packages, jar, err
}

func requirements(path string) (packages []pkg, err error) {
	text, err := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if name, version, ok := strings.Cut(strings.TrimSpace(line), "=="); ok {
			packages = append(packages, pkg{name: name, version: version, source: true})
		}
	}
	return packages, err
}

// skips tells whether a directory matches one of those that are skipped, which are patterns.
func (c *call) skips(dir string) bool {
	return slices.ContainsFunc(c.skipDirs, func(pattern string) bool {
		below, _ := strings.CutPrefix(pattern, c.root+"/")
		rel, err := filepath.Rel(c.root, dir)
		return err == nil && doublestar.MatchUnvalidated(below, rel)
	})
}

func dpkg(path string) (packages []pkg, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var p pkg
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), "Package: "); ok {
			p.name = v
		}
		if v, ok := strings.CutPrefix(lines.Text(), "Version: "); ok {
			p.version = v
			packages = append(packages, p)
		}
	}
	return packages, nil
}

type object = map[string]any

// result is one of trivy's, its fields in trivy's order: what a list is of stands before it.
type result struct {
	Target          string
	Class           string   `json:",omitempty"`
	Type            string   `json:",omitempty"`
	Packages        []object `json:",omitempty"`
	Vulnerabilities []object `json:",omitempty"`
	Secrets         []object `json:",omitempty"`
}

// report is trivy's JSON, schema version 2, shaped as the reports in node-agent/engine/trivy/testdata.
func (c *call) report(packages []pkg) any {
	system := result{Target: c.root + " (debian 12.5)", Class: "os-pkgs", Type: "debian"}
	for i, p := range packages {
		id := object{"PURL": p.purl(), "UID": fmt.Sprint(i)}
		version, release, _ := strings.Cut(p.version, "-")
		system.Packages = append(system.Packages, object{
			"ID": p.name + "@" + p.version, "Name": p.name, "Identifier": id, "Version": version, "Release": release, "Arch": "amd64",
			"Licenses": []string{version, version, version, version, version, version}, "SrcName": p.name, "SrcVersion": version, "SrcRelease": release, "Repository": object{"Class": "official"}, "AnalyzedBy": "dpkg",
			"InstalledFiles": []string{"/usr/share/doc/" + p.name},
		})
		if p.name == "openssl" && slices.Contains(c.scanners, "vuln") {
			system.Vulnerabilities = append(system.Vulnerabilities, object{
				"VulnerabilityID": "CVE-2099-0001", "VendorIDs": []string{"DSA-9999-1"}, "PkgID": p.name + "@" + p.version, "PkgName": p.name,
				"PkgIdentifier": id, "InstalledVersion": p.version, "FixedVersion": "99.0", "Status": "fixed", "SeveritySource": "nvd",
				"DataSource": object{"ID": "debian"}, "Title": "invented by trivy-double", "Severity": "CRITICAL", "VendorSeverity": object{"nvd": 4},
				"CVSS": object{"nvd": object{"V3Vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "V3Score": 9.8}},
			})
		}
	}
	results := []result{system}
	if slices.Contains(c.scanners, "secret") {
		results = append(results, result{Target: "root/.aws/credentials", Class: "secret", Secrets: []object{{
			"RuleID": "aws-access-key-id", "Category": "AWS", "Severity": "CRITICAL", "Title": "AWS Access Key ID", "StartLine": 2, "EndLine": 2,
			"Match": "the double's secret", "Code": object{"Lines": []object{{"Number": 2, "Content": "the double's secret", "IsCause": true}}},
		}}})
	}
	return object{
		"SchemaVersion": 2, "Trivy": object{"Version": "double-0.74.0"}, "ReportID": "double", "ArtifactName": c.root, "ArtifactType": "filesystem",
		"Metadata": object{"OS": object{"Family": "debian", "Name": "12.5"}}, "Results": results,
	}
}

func cycloneDX(packages []pkg) any {
	components := []object{{"type": "operating-system", "name": "debian", "version": "12.5"}}
	for _, p := range packages {
		components = append(components, object{"type": "library", "name": p.name, "version": p.version, "purl": p.purl()})
	}
	return object{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components,
		"metadata": object{"tools": object{"components": []object{{"type": "application", "name": "trivy-double"}}}}}
}
