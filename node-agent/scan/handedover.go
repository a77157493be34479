// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/jsonwriter"
)

// handedOver is a report.json for the reporter, who alone reads it: without indentation, findings written out because they are nearly
// all of it. As people read it (report.Write), it took a fourteenth of the CPU of matching an image again.
func handedOver(r *v1alpha1.ScanReport) ([]byte, error) {
	const ofFinding, ofRest = 512, 8 << 10 // bytes that most take
	var w jsonwriter.Writer
	w.Grow(ofRest + ofFinding*len(r.Report.Findings))
	w.Begin('{')
	w.Name("metadata")
	w.Value(r.ObjectMeta)
	w.Name("report")
	body := r.Report
	body.Findings = nil
	w.Open(body)
	if len(r.Report.Findings) > 0 {
		w.Name("findings")
		w.Begin('[')
		var seen seenTime
		for i := range r.Report.Findings {
			writeFinding(&w, &r.Report.Findings[i], &seen)
		}
		w.End(']')
	}
	w.End('}')
	w.End('}')
	w.Break()
	return w.Text()
}

func writeFinding(w *jsonwriter.Writer, f *v1alpha1.Finding, seen *seenTime) {
	w.Begin('{')
	w.Member("key", f.Key)
	if f.IDs != (v1alpha1.FindingIDs{}) {
		w.Name("ids")
		w.Begin('{')
		w.Optional("cve", f.IDs.CVE)
		w.Optional("qid", f.IDs.QID)
		w.Optional("ghsa", f.IDs.GHSA)
		w.End('}')
	}
	w.Optional("package", f.Package)
	w.Optional("version", f.Version)
	w.Optional("purl", f.PURL)
	w.Optional("path", f.Path)
	w.Optional("severity", f.Severity)
	w.Optional("score", f.Score)
	w.Optional("fixedVersion", f.FixedVersion)
	w.Member("detectedBy", f.DetectedBy)
	w.Name("firstSeen")
	seen.write(w, f.FirstSeen)
	w.End('}')
}

// seenTime is a time as it was written last: that of all findings of a scan.
type seenTime struct {
	at   metav1.Time
	text string
}

func (s *seenTime) write(w *jsonwriter.Writer, at metav1.Time) {
	if at.IsZero() {
		w.Value(nil)
		return
	}
	if s.text == "" || at != s.at {
		*s = seenTime{at, at.UTC().Format(time.RFC3339)} // as metav1.Time writes itself
	}
	w.String(s.text)
}
