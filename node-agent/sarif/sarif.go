// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sarif writes what a scan found as SARIF 2.1.0, for engines that write none. It has
// types of its own because those of go-sarif v3.3.1 write every empty list and every -1 of every
// object, twice the bytes of a result, and bring a JSON schema library into the agent.
package sarif

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

const (
	schemaURI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

	// imageBase is the name of the base that artifacts' URIs are relative to: the image.
	imageBase = "IMAGE"

	// fingerprint names how a result is identified; another way takes another number (clause 3.27.17).
	fingerprint = "sifscanFinding/v2"

	// maxResults is what GitHub's code scanning accepts of a run. Results are sorted: the most severe stay.
	maxResults = 25_000
)

// Bounds of single texts, in bytes.
const (
	maxID      = 256
	maxText    = 256
	maxURL     = 2048
	maxPath    = 1024
	maxMessage = 1024
)

// Document returns the SARIF document of an image. Equal scans make equal bytes. What was not
// assessed is a notification of the invocation, at level error where it concerns the whole image.
func Document(f *report.Full) ([]byte, error) {
	return write(f, maxResults)
}

func write(f *report.Full, most int) ([]byte, error) {
	room := min(len(f.Findings)+len(f.Secrets), most)
	b := builder{index: make(map[string]int, room), notified: map[string]bool{}, results: make([]result, 0, room), rules: make([]rule, 0, room)}
	keys := report.SecretKeys(f.Secrets)
	for i := range f.Secrets[:min(len(f.Secrets), most)] {
		b.secret(&f.Secrets[i], keys[i])
	}
	for i := range f.Findings[:min(len(f.Findings), most-len(b.results))] {
		b.finding(&f.Findings[i])
	}
	for _, n := range f.Notes() {
		b.note(n)
	}
	if over := len(f.Findings) + len(f.Secrets) - len(b.results); over > 0 {
		b.note(report.Note{Reason: v1alpha1.ReasonPartial, Message: fmt.Sprintf(
			"%d results are left out, the least severe ones: a run has at most %d", over, most)})
	}
	r := f.Report
	return encode(run{
		Tool:       tool{driver{Name: "sifscan-" + r.Scanner.Engine, Version: r.Scanner.Version, Rules: b.rules, Notifications: b.descriptors}},
		Automation: automation{"sifscan/" + r.Scanner.Engine + "/" + encodePath(strings.TrimPrefix(r.Target.Path, "/")) + "/"},
		Invocations: []invocation{{
			Successful: r.Outcome.Reason == "", EndTime: r.ObservedAt.UTC().Format(time.RFC3339), Notifications: b.notifications,
		}},
		BaseIDs:    map[string]artifactLocation{imageBase: {URI: baseURI(r.Target.Path)}},
		ColumnKind: "utf16CodeUnits",
		Properties: runProperties{Target: r.Target, OS: r.OS, Database: r.Scanner.Database, Summary: r.Summary},
		Results:    b.results,
	})
}

// builder collects the parts of a run.
type builder struct {
	rules         []rule
	index         map[string]int // of rules, by ID
	results       []result
	notifications []notification
	descriptors   []descriptor
	notified      map[string]bool
}

// rule returns the index of a rule, made by the first result that it has: the most severe one.
func (b *builder) rule(id string, make func() rule) int {
	i, ok := b.index[id]
	if !ok {
		i = len(b.rules)
		b.index[id] = i
		b.rules = append(b.rules, make())
	}
	return i
}

func (b *builder) finding(f *engine.Finding) {
	id := report.Text(f.ID, maxID)
	level, score := grade(f.Severity, f.Score)
	index := b.rule(id, func() rule {
		return rule{
			ID: id, Short: text(cmp.Or(f.Summary, f.ID)), Full: text(describe(f)), HelpURI: help(f),
			Configuration: configuration{level},
			Properties: ruleProperties{
				SecuritySeverity: score, Severity: severity(f.Severity), Vector: report.Text(f.Vector, maxText),
				SeveritySource: report.Text(f.Source, maxText), Tags: []string{"security", "vulnerability"},
			},
		}
	})
	name, version, purl := report.Text(f.Package, maxText), report.Text(f.Version, maxText), report.Text(f.PURL, maxURL)
	fixed := report.Text(f.FixedVersion, maxText)
	said := fmt.Sprintf("%s %s has %s (%s); no version with a fix is known", name, version, id, severity(f.Severity))
	if fixed != "" {
		said = fmt.Sprintf("%s %s has %s (%s); fixed in %s", name, version, id, severity(f.Severity), fixed)
	}
	at := locate(f.Path, 1)
	at.Logical = []logical{{Name: name, QualifiedName: purl, Kind: "package"}}
	b.results = append(b.results, result{
		RuleID: id, RuleIndex: index, Level: level, Message: text(said), Locations: []location{at},
		Fingerprints: identify(report.Key(f)),
		Properties: &resultProperties{
			Severity: severity(f.Severity), Score: points(f.Score), Package: name, Version: version, PURL: purl, FixedVersion: fixed,
		},
	})
}

// secret adds a credential, which is as grave as a vulnerability of high severity: whoever can
// read the image has it. There is no scale that says more.
func (b *builder) secret(s *engine.Secret, key string) {
	level, score := grade(engine.SeverityHigh, 0)
	kind := report.Text(s.Rule, maxID)
	id := "secret/" + kind
	index := b.rule(id, func() rule {
		return rule{
			ID: id, Short: text("Credential: " + kind),
			Full:          text("The image holds a credential (" + kind + ") that everybody who can read the image has. Revoke it, and make the image without it."),
			Configuration: configuration{level},
			Properties:    ruleProperties{SecuritySeverity: score, Tags: []string{"security", "secret"}},
		}
	})
	b.results = append(b.results, result{
		RuleID: id, RuleIndex: index, Level: level,
		Message:      text(fmt.Sprintf("%s in %s", kind, report.Text(s.Path, maxPath))),
		Locations:    []location{locate(s.Path, s.Line)},
		Fingerprints: identify(key),
	})
}

func (b *builder) note(n report.Note) {
	level := "warning"
	if n.Grave() {
		level = "error"
	}
	x := notification{Descriptor: descriptor{n.Reason}, Level: level, Message: text(n.Message)}
	if n.Path != "" {
		at := locate(n.Path, 1)
		at.Physical.Region = nil
		x.Locations = []location{at}
	}
	b.notifications = append(b.notifications, x)
	if !b.notified[n.Reason] {
		b.notified[n.Reason] = true
		b.descriptors = append(b.descriptors, x.Descriptor)
	}
}

// grade is a severity as SARIF's level and as the number of the property security-severity. That
// is the CVSS score where it lies within the severity, for both must tell the same: a
// distribution may rate a vulnerability of 9.8 low. Readers know no unknown severity, and take
// 0 for none: what nobody has rated passes for medium here, neither hidden nor raised above what
// is known to be high; the property severity of result and rule says unknown.
func grade(s engine.Severity, score float64) (level, number string) {
	g, ok := grades[s]
	if !ok {
		return "warning", "4.0"
	}
	if score >= g.least && score < g.below {
		return g.level, points(score)
	}
	return g.level, g.otherwise
}

// grades are the ranges of CVSS 3 and 4 (FIRST, qualitative severity rating scale).
var grades = map[engine.Severity]struct {
	level        string
	least, below float64
	otherwise    string
}{
	engine.SeverityCritical: {"error", 9, 10.1, "9.0"},
	engine.SeverityHigh:     {"error", 7, 9, "7.0"},
	engine.SeverityMedium:   {"warning", 4, 7, "4.0"},
	engine.SeverityLow:      {"note", 0.1, 4, "2.0"},
}

func severity(s engine.Severity) string { return cmp.Or(string(s), "unknown") }

// points writes a CVSS score; nothing for none.
func points(score float64) string {
	if score <= 0 || score > 10 {
		return ""
	}
	return strconv.FormatFloat(score, 'f', 1, 64)
}

// describe names a vulnerability by all its names.
func describe(f *engine.Finding) string {
	names := []string{f.ID}
	for _, id := range append([]string{f.IDs.CVE, f.IDs.GHSA}, f.IDs.Advisories[:min(len(f.IDs.Advisories), 16)]...) {
		if id != "" && id != f.ID {
			names = append(names, id)
		}
	}
	if f.IDs.QID != "" && f.ID != "QID-"+f.IDs.QID {
		names = append(names, "QID "+f.IDs.QID)
	}
	said := strings.Join(names, ", ")
	if f.Summary != "" {
		said += ": " + f.Summary
	}
	return said
}

func help(f *engine.Finding) string {
	switch {
	case f.IDs.CVE != "":
		return "https://nvd.nist.gov/vuln/detail/" + encodePath(report.Text(f.IDs.CVE, maxID))
	case f.IDs.GHSA != "":
		return "https://github.com/advisories/" + encodePath(report.Text(f.IDs.GHSA, maxID))
	}
	return ""
}

// text is a plain text message. Braces stand for placeholders unless they are doubled, and
// "](" is part of a link (clauses 3.11.5 and 3.11.6): an image's author writes neither.
func text(s string) message {
	s = report.Text(s, maxMessage)
	if strings.ContainsAny(s, "{}") || strings.Contains(s, "](") { // the replacer copies every text
		s = literally.Replace(s)
	}
	return message{s}
}

var literally = strings.NewReplacer("{", "{{", "}", "}}", "](", "] (")

// identify tells a result from all others by its key as it is: of a hash nothing is said elsewhere, and those of 59 results were a
// sixth of a compressed document.
func identify(key string) map[string]string {
	return map[string]string{fingerprint: report.Text(key, maxURL)}
}

// locate is a place in the image. GitHub's code scanning demands a line of every place.
func locate(path string, line int) location {
	return location{Physical: physical{
		Artifact: artifactLocation{URI: relativeURI(path), BaseID: imageBase},
		Region:   &region{max(line, 1)},
	}}
}
