// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/jsonwriter"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

// handedOver is a report.json for the reporter, who alone reads it: without indentation, findings written out because they are nearly
// all of it. As people read it (report.Write), it took a fourteenth of the CPU of matching an image again.
func handedOver(r *v1alpha1.ScanReport) ([]byte, error) {
	var w jsonwriter.Writer
	w.Begin('{')
	w.Name("metadata")
	w.Value(r.ObjectMeta)
	w.Name("report")
	report.WriteBody(&w, &r.Report)
	w.End('}')
	w.Break()
	return w.Text()
}
