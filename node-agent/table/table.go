// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package table writes what a scan found as text for a person at a terminal.
package table

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

// maxRows bounds the tables of findings and of secrets. Who reads on wants a program to do it.
const maxRows = 2000

// Document returns the table of an image. Equal scans make equal bytes.
func Document(f *report.Full) []byte {
	var b bytes.Buffer
	head(&b, f)
	findings(&b, f)
	secrets(&b, f)
	notes(&b, f)
	return b.Bytes()
}

// head says what was scanned, with what, and what it comes to.
func head(b *bytes.Buffer, f *report.Full) {
	r := f.Report
	line := func(name, format string, args ...any) {
		fmt.Fprintf(b, "  %-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(b, r.Target.Path)
	line("image", "%s, %d bytes%s", r.Target.Kind, r.Target.SizeBytes, prefixed(", ", r.Target.Architecture))
	if r.OS != nil {
		line("system", "%s", cmp.Or(r.OS.Name, strings.TrimSpace(r.OS.Family+" "+r.OS.Version)))
	} else {
		line("system", "none recognised")
	}
	line("engine", "%s %s", r.Scanner.Engine, r.Scanner.Version)
	line("database", "%s", database(f))
	line("scanned", "%s", r.ObservedAt.UTC().Format(time.RFC3339))
	if r.Outcome.Reason != "" || r.Outcome.Message != "" {
		line("outcome", "%s", strings.TrimPrefix(r.Outcome.Reason+": "+r.Outcome.Message, ": "))
	}
	s := r.Summary
	if s == nil {
		return
	}
	line("packages", "%d%s", s.Packages, part(s.NotAssessed, ", %d not assessed"))
	line("findings", "%s", counts(s, f.Assessed()))
	switch {
	case s.Secrets != nil:
		line("secrets", "%d", *s.Secrets)
	case f.SecretsUntold():
		line("secrets", "not told by the engine")
	default:
		line("secrets", "not looked for")
	}
}

func counts(s *v1alpha1.Summary, assessed bool) string {
	if !assessed {
		return "not assessed"
	}
	return fmt.Sprintf("%d critical, %d high, %d medium, %d low, %d unknown; %d with a fix",
		*s.Critical, *s.High, *s.Medium, *s.Low, *s.Unknown, *s.Fixable)
}

func database(f *report.Full) string {
	switch d := f.Report.Scanner.Database; {
	case d == nil && f.Assessed():
		return "the engine's own"
	case d == nil:
		return "none"
	case d.UpdatedAt == nil:
		return "of unknown date, " + short(d.Digest)
	default:
		return d.UpdatedAt.UTC().Format(time.DateOnly) + ", " + short(d.Digest)
	}
}

// short is enough of a digest to tell two databases apart.
func short(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

func findings(b *bytes.Buffer, f *report.Full) {
	if !f.Assessed() {
		return
	}
	if len(f.Findings) == 0 {
		fmt.Fprintln(b, "\nNo vulnerability of an assessed package is known.")
		return
	}
	t := columns{
		{title: "SEVERITY", most: 8}, {title: "VULNERABILITY", most: 20}, {title: "PACKAGE", most: 28},
		{title: "INSTALLED", most: 20}, {title: "FIXED IN", most: 20}, {title: "PATH"},
	}
	shown := f.Findings[:min(len(f.Findings), maxRows)]
	rows := make([][]string, 0, len(shown))
	for i := range shown {
		x := &shown[i]
		rows = append(rows, []string{
			severity(x.Severity), cell(x.ID), cell(x.Package), cell(cmp.Or(x.Version, "-")), cell(cmp.Or(x.FixedVersion, "-")), place(x.Path),
		})
	}
	fmt.Fprintln(b)
	t.write(b, rows)
	rest(b, len(f.Findings)-len(shown))
}

// severity is the API's word in capitals.
func severity(s engine.Severity) string {
	if s.Rank() == 0 {
		return "UNKNOWN"
	}
	return strings.ToUpper(string(s))
}

func secrets(b *bytes.Buffer, f *report.Full) {
	if len(f.Secrets) == 0 {
		return
	}
	t := columns{{title: "SECRET", most: 28}, {title: "LINE", most: 8}, {title: "PATH"}}
	shown := f.Secrets[:min(len(f.Secrets), maxRows)]
	rows := make([][]string, 0, len(shown))
	for _, s := range shown {
		line := "-"
		if s.Line > 0 {
			line = fmt.Sprint(s.Line)
		}
		rows = append(rows, []string{cell(s.Rule), line, place(s.Path)})
	}
	fmt.Fprintln(b)
	t.write(b, rows)
	rest(b, len(f.Secrets)-len(shown))
}

func rest(b *bytes.Buffer, n int) {
	if n > 0 {
		fmt.Fprintf(b, "… and %d more, which report.sarif and inventory.json have\n", n)
	}
}

// notes says in plain words what is missing above.
func notes(b *bytes.Buffer, f *report.Full) {
	list := f.Notes()
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(b, "\nNOT ASSESSED")
	for _, n := range list {
		what := n.Message
		if n.Path != "" {
			what = n.Path + ": " + what
		}
		wrap(b, "- "+what)
	}
}

// maxCell bounds a cell in bytes: longer ones are an attack, not a name.
const maxCell = 128

func cell(s string) string { return report.Text(s, maxCell) }

// place is a path in the image.
func place(p string) string {
	if p == "" {
		return "-"
	}
	const most = 1024
	return report.Text(path.Clean("/"+p), most)
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func part(n int32, format string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}
