// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// MaxFindings is the most findings that any ScanReport lists.
const MaxFindings = 500

// Counted is what a list of findings comes to.
type Counted struct {
	Critical, High, Medium, Low, Unknown int32
	// Fixable findings have a fixed version; of them critical and high.
	Fixable, FixableCritical, FixableHigh int32
}

// Count counts findings: a vulnerability of a package once.
func Count(findings []engine.Finding) (c Counted) {
	for i := range findings {
		f := &findings[i]
		add(c.of(f.Severity))
		if f.FixedVersion == "" {
			continue
		}
		add(&c.Fixable)
		switch f.Severity {
		case engine.SeverityCritical:
			add(&c.FixableCritical)
		case engine.SeverityHigh:
			add(&c.FixableHigh)
		}
	}
	return c
}

// of returns the count of a severity.
func (c *Counted) of(s engine.Severity) *int32 {
	switch s {
	case engine.SeverityCritical:
		return &c.Critical
	case engine.SeverityHigh:
		return &c.High
	case engine.SeverityMedium:
		return &c.Medium
	case engine.SeverityLow:
		return &c.Low
	}
	return &c.Unknown
}

func add(n *int32) { *n = min(*n, math.MaxInt32-1) + 1 }

// Into puts the counts into a summary. Only a summary of assessed packages has them.
func (c Counted) Into(s *v1alpha1.Summary) {
	s.Critical, s.High, s.Medium, s.Low, s.Unknown = ptr.To(c.Critical), ptr.To(c.High), ptr.To(c.Medium), ptr.To(c.Low), ptr.To(c.Unknown)
	s.Fixable = ptr.To(c.Fixable)
}

// FixableAnnotation is the value of v1alpha1.AnnotationFixable.
func (c Counted) FixableAnnotation() string {
	return fmt.Sprintf("%d/%d/%d", c.FixableCritical, c.FixableHigh, c.Fixable)
}

var fixableAnnotation = regexp.MustCompile(`^[0-9]{1,10}/[0-9]{1,10}/[0-9]{1,10}$`)

// ValidFixable says whether text is a value of v1alpha1.AnnotationFixable.
func ValidFixable(text string) bool { return fixableAnnotation.MatchString(text) }

// Key identifies a finding in every scan of an image: one that outlives an update of its package keeps it.
func Key(f *engine.Finding) string { return f.ID + " " + engine.Unversioned(f.PURL) }

// Findings turns an engine's findings, most severe first, into those of a report.json: the first
// MaxListed, and the number of those left out.
func Findings(found []engine.Finding, detectedBy engine.ScanType, at metav1.Time) (list []v1alpha1.Finding, truncated int32) {
	for i := range found[:min(len(found), MaxListed)] {
		f := &found[i]
		severity := string(f.Severity)
		if f.Severity == engine.SeverityUnknown {
			severity = "unknown"
		}
		score := ""
		if f.Score > 0 {
			score = strconv.FormatFloat(f.Score, 'f', 1, 64)
		}
		list = append(list, v1alpha1.Finding{
			Key: Key(f), IDs: v1alpha1.FindingIDs{CVE: f.IDs.CVE, QID: f.IDs.QID, GHSA: f.IDs.GHSA},
			Package: f.Package, Version: f.Version, PURL: f.PURL, Path: f.Path,
			Severity: severity, Score: score, FixedVersion: f.FixedVersion,
			DetectedBy: string(detectedBy), FirstSeen: at,
		})
	}
	return list, int32(len(found) - len(list))
}

// Keep cuts the findings to n: the first ones, and of the secrets, which follow them, as many as
// there is room for, but up to a quarter of n in any case. No severity ranks a credential, and
// twenty vulnerabilities nearly every image has.
func Keep(r *v1alpha1.Report, n int) {
	over := len(r.Findings) - n
	if over <= 0 {
		return
	}
	vulnerabilities := slices.IndexFunc(r.Findings, isSecret)
	if vulnerabilities < 0 {
		vulnerabilities = len(r.Findings)
	}
	secrets := len(r.Findings) - vulnerabilities
	secrets = min(secrets, max(n-vulnerabilities, n/4))
	r.Findings = slices.Concat(r.Findings[:n-secrets], r.Findings[vulnerabilities:vulnerabilities+secrets])
	r.Truncated += int32(over)
}

// severities that a finding can have.
var severities = map[string]bool{"critical": true, "high": true, "medium": true, "low": true, "unknown": true}

// boundFindings makes findings safe to print and bounds each to about a KiB.
func boundFindings(r *v1alpha1.Report) {
	Keep(r, MaxListed)
	r.Truncated = max(r.Truncated, 0)
	for i := range r.Findings {
		f := &r.Findings[i]
		cut(&f.Key, maxText)
		cut(&f.IDs.CVE, maxWord)
		cut(&f.IDs.QID, maxWord)
		cut(&f.IDs.GHSA, maxWord)
		cut(&f.Package, maxText)
		cut(&f.Version, maxWord)
		cut(&f.PURL, maxText)
		cut(&f.Path, maxText)
		cut(&f.Score, maxWord)
		cut(&f.FixedVersion, maxWord)
		cut(&f.DetectedBy, maxWord)
		switch {
		case isSecret(*f):
			f.Severity = ""
		case !severities[f.Severity]:
			f.Severity = "unknown"
		}
	}
}
