// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reporttest makes results for tests of the documents that are made of them.
package reporttest

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

// At is when the images were observed.
var At = metav1.NewTime(time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC))

// Full is an image with findings of every severity, secrets, and parts that were not assessed.
func Full() *report.Full {
	return Matched(Findings(), []engine.Secret{
		{Rule: "github-token", Path: "root/.netrc", Line: 3},
		{Rule: "github-token", Path: "root/.netrc", Line: 9},
		{Rule: "munge-key", Path: "etc/munge/munge.key"},
	}, []engine.Warning{{Path: "opt/data/broken.jar", Message: "the archive has no directory"}})
}

// Findings are one of every kind.
func Findings() []engine.Finding {
	return []engine.Finding{
		{
			ID: "CVE-2099-0001", IDs: engine.IDs{CVE: "CVE-2099-0001", GHSA: "GHSA-aaaa-bbbb-cccc", Advisories: []string{"DSA-1-1"}},
			Package: "libssl3", Version: "3.0.11-1", PURL: "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64", Path: "var/lib/dpkg/status",
			Severity: engine.SeverityCritical, Score: 9.8, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Source: "CVSS 3.1",
			FixedVersion: "3.0.12-1", Summary: "Overflow while a {certificate} is [parsed](https://evil.example)",
		},
		{
			ID: "CVE-2099-0001", IDs: engine.IDs{CVE: "CVE-2099-0001", GHSA: "GHSA-aaaa-bbbb-cccc", Advisories: []string{"DSA-1-1"}},
			Package: "openssl", Version: "3.0.11-1", PURL: "pkg:deb/debian/openssl@3.0.11-1?arch=amd64", Path: "var/lib/dpkg/status",
			Severity: engine.SeverityCritical, Score: 9.8, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Source: "CVSS 3.1",
			FixedVersion: "3.0.12-1", Summary: "Overflow while a {certificate} is [parsed](https://evil.example)",
		},
		{
			ID: "GHSA-dddd-eeee-ffff", IDs: engine.IDs{GHSA: "GHSA-dddd-eeee-ffff"}, Package: "requests", Version: "2.0",
			PURL: "pkg:pypi/requests@2.0", Path: "opt/env/lib/python3.11/site-packages/requests-2.0.dist-info/METADATA",
			Severity: engine.SeverityHigh, Source: "GHSA", FixedVersion: "2.31.0",
		},
		{
			ID: "QID-38170", IDs: engine.IDs{QID: "38170"}, Package: "tar", Version: "1.34", PURL: "pkg:generic/tar@1.34",
			Severity: engine.SeverityMedium, Source: "Qualys",
		},
		{
			ID: "CVE-2099-0003", IDs: engine.IDs{CVE: "CVE-2099-0003"}, Package: "bash", Version: "5.2", PURL: "pkg:deb/debian/bash@5.2",
			Path: "var/lib/dpkg/status", Severity: engine.SeverityLow, Score: 9.1, Source: "DEBIAN",
		},
		{
			ID: "PYSEC-2099-4", IDs: engine.IDs{Advisories: []string{"PYSEC-2099-4"}}, Package: "numpy", Version: "1.0", PURL: "pkg:pypi/numpy@1.0",
			Path: "opt/café/numpy-1.0.dist-info/METADATA", FixedVersion: "1.1",
		},
	}
}

// Matched is an image whose 12 packages were matched, all but two; secrets are nil where nobody looked for them.
func Matched(findings []engine.Finding, secrets []engine.Secret, warnings []engine.Warning) *report.Full {
	f := Unmatched()
	f.Findings, f.Secrets, f.Warnings = findings, secrets, warnings
	f.Report.Scanner.Database = &v1alpha1.ReportDatabase{Digest: "sha256:" + strings.Repeat("0123456789abcdef", 4), UpdatedAt: &At}
	f.Report.Summary.NotAssessed = 2
	report.Count(findings).Into(f.Report.Summary)
	if secrets != nil {
		f.Types = []string{string(engine.ScanPackages), string(engine.ScanSecrets)}
		f.Report.Summary.Secrets = ptr.To(int32(len(secrets)))
	}
	if len(warnings) > 0 {
		f.Report.Outcome.Coverage = v1alpha1.CoveragePartial
	}
	return f
}

// Unmatched is an image whose 12 packages nobody matched with a database.
func Unmatched() *report.Full {
	return &report.Full{
		Types: []string{string(engine.ScanPackages)},
		Report: &v1alpha1.Report{
			Target:     v1alpha1.ReportTarget{Kind: "sif", Path: "/shared/containers/a b.sif", SizeBytes: 4096, UID: 4242, GID: 100, Architecture: "amd64"},
			OS:         &v1alpha1.ReportOS{Family: "debian", Version: "12", Name: "Debian GNU/Linux 12 (bookworm)"},
			Scanner:    v1alpha1.ReportScanner{Engine: "native", Version: "osv-scalibr-0.5.3+1"},
			Outcome:    v1alpha1.Outcome{Coverage: v1alpha1.CoverageComplete},
			Summary:    &v1alpha1.Summary{Packages: 12, NotAssessed: 12},
			ObservedAt: At,
		},
	}
}

// HostileText is what an image's author may call things: longer than any limit, with control
// characters, bidirectional overrides and bytes that are no text.
var HostileText = "\x1b[31m\u202egnp.\n\r\x00\xff\u2028[a](b){0}" + strings.Repeat("x", 1<<20)

// Hostile is an image of which every text is hostile.
func Hostile() *report.Full {
	h := HostileText
	f := Matched(nil, nil, nil)
	for i, s := range []engine.Severity{engine.SeverityCritical, "nonsense", engine.SeverityUnknown} {
		f.Findings = append(f.Findings, engine.Finding{
			ID: h, IDs: engine.IDs{CVE: h, GHSA: h, QID: h, Advisories: []string{h, h}}, Package: h, Version: h,
			PURL: "pkg:generic/" + strings.Repeat("y", i+1) + h, Path: "../../" + h, Severity: s, Score: 1e300, Vector: h, Source: h, FixedVersion: h, Summary: h,
		})
	}
	f.Secrets = []engine.Secret{{Rule: h, Path: h, Line: -7}, {Rule: h, Path: "/../" + h, Line: 1}}
	for range 3 * engine.MaxWarnings {
		f.Warnings = append(f.Warnings, engine.Warning{Path: h, Message: h})
	}
	f.Report.Target.Path = "/shared/" + h
	f.Report.OS.Name, f.Report.Scanner.Version, f.Report.Outcome.Message = h, h, h
	report.Bound(f.Report)
	return f
}
