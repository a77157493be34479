// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// Full is everything that a scan says of one image: the ScanReport, and what that has no room
// for. Documents for people and other tools are made of it.
type Full struct {
	// Report is bounded (Bound).
	Report *v1alpha1.Report
	// Types are the scan types, sorted.
	Types []string
	// Findings, Secrets and Warnings are as in engine.Result.
	Findings        []engine.Finding
	Secrets         []engine.Secret
	Warnings        []engine.Warning
	DroppedWarnings int
}

// Assessed tells whether packages were matched: only then no finding means that none is known.
func (f *Full) Assessed() bool { return f.Report.Summary != nil && f.Report.Summary.Critical != nil }

// SecretsUntold tells that secrets were looked for by an engine that keeps what it found to itself
// and its own documents: qscanner.
func (f *Full) SecretsUntold() bool {
	return slices.Contains(f.Types, string(engine.ScanSecrets)) && (f.Report.Summary == nil || f.Report.Summary.Secrets == nil)
}

// Note is something a reader must know before calling the image clean.
type Note struct {
	// Reason of the API: NotAssessed, PartiallyAssessed, Partial, or that of a failure.
	Reason string
	// Path in the image that it is about; empty: the whole image.
	Path    string
	Message string
}

// Grave notes speak of the whole image: what is missing from the findings is unknown.
func (n Note) Grave() bool {
	return n.Reason != v1alpha1.ReasonPartial && n.Reason != v1alpha1.ReasonPartiallyAssessed
}

// Notes says what was not assessed, the gravest first; empty only when everything was.
func (f *Full) Notes() (notes []Note) {
	add := func(reason, path, format string, args ...any) {
		notes = append(notes, Note{Reason: reason, Path: Text(path, maxPath), Message: Text(fmt.Sprintf(format, args...), maxMessage)})
	}
	if o := f.Report.Outcome; o.Reason != "" {
		add(o.Reason, "", "%s", o.Message)
	}
	switch s := f.Report.Summary; {
	case s == nil:
		return notes
	case !slices.Contains(f.Types, string(engine.ScanPackages)):
		add(v1alpha1.ReasonNotAssessed, "", "packages were not looked for (scan types: %s): vulnerabilities are unknown, not zero", strings.Join(f.Types, ", "))
	case !f.Assessed():
		add(v1alpha1.ReasonNotAssessed, "", "no vulnerability database matched any of the packages (%d): their vulnerabilities are unknown, not zero", s.Packages)
	case s.NotAssessed > 0:
		add(v1alpha1.ReasonPartiallyAssessed, "", "the vulnerability database says nothing on %d of %d packages: their vulnerabilities are unknown", s.NotAssessed, s.Packages)
	}
	if f.SecretsUntold() {
		add(v1alpha1.ReasonPartiallyAssessed, "", "secrets were looked for, and the engine %s does not tell where it found any", f.Report.Scanner.Engine)
	}
	for _, w := range f.Warnings[:min(len(f.Warnings), engine.MaxWarnings)] {
		add(v1alpha1.ReasonPartial, w.Path, "%s", w.Message)
	}
	if n := f.DroppedWarnings + max(len(f.Warnings)-engine.MaxWarnings, 0); n > 0 {
		add(v1alpha1.ReasonPartial, "", "%d more parts of the image were not assessed", n)
	}
	return notes
}
