// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"maps"
	"slices"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/sarif"
	"github.com/sifscan/sifscan-operator/node-agent/table"
)

// document makes the documents about what the engine found, once everything is known about the
// image. An image that no engine could read has none. SARIF that the engine wrote itself stays as
// it is.
func (r *Result) document(formats []report.Format) error {
	if r.engine == nil {
		return nil
	}
	full := r.full()
	r.engine = nil
	documents := maps.Clone(r.Documents)
	if documents == nil {
		documents = map[string][]byte{}
	}
	switch own := documents[engine.SARIFFile] != nil; {
	case !slices.Contains(formats, report.SARIF):
		delete(documents, engine.SARIFFile)
	case !own && !slices.Contains(r.Unchanged, engine.SARIFFile):
		text, err := sarif.Document(full)
		if err != nil {
			return err
		}
		documents[engine.SARIFFile] = text
	}
	if slices.Contains(formats, report.Table) && !slices.Contains(r.Unchanged, report.TableFile) {
		documents[report.TableFile] = table.Document(full)
	}
	r.Documents = documents
	return nil
}

// full is everything that the scan says of the image.
func (r *Result) full() *report.Full {
	shallow := r.Report
	shallow.Findings = nil // those of the engine are all of them
	body := shallow.DeepCopy()
	report.Bound(body)
	return &report.Full{
		Report:          body,
		Types:           r.Types,
		Findings:        r.engine.Findings,
		Secrets:         r.engine.Secrets,
		Warnings:        r.engine.Warnings,
		DroppedWarnings: r.engine.DroppedWarnings,
	}
}
