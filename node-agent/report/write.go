// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/jsonwriter"
)

// ofFinding is how many bytes most findings take, indented.
const ofFinding = 768

// Write writes a report.json. The report must have passed Bound.
func Write(out io.Writer, r *v1alpha1.ScanReport) error {
	rest := *r
	rest.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ScanReport"}
	rest.Report.Findings = nil
	var text bytes.Buffer
	text.Grow(ofFinding*len(r.Report.Findings) + MaxBytes/2)
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // which takes six bytes for one
	e.SetIndent("", "  ")
	if err := e.Encode(&rest); err != nil {
		return err
	}
	list, err := findings(r.Report.Findings, jsonwriter.Writer{Prefix: "    ", Indent: "  "})
	if err == nil {
		err = insert(&text, "\n  }\n}\n", ",\n    \"findings\": ", list)
	}
	if err == nil {
		_, err = out.Write(text.Bytes())
	}
	return err
}

// Body is the body of a report as JSON, in one line.
func Body(r *v1alpha1.Report) ([]byte, error) {
	var w jsonwriter.Writer
	WriteBody(&w, r)
	return w.Text()
}

// WriteBody writes the body of a report in one line.
func WriteBody(w *jsonwriter.Writer, r *v1alpha1.Report) {
	w.Grow(ofFinding*len(r.Findings) + MaxBytes/2)
	rest := *r
	rest.Findings = nil
	w.Open(rest)
	if len(r.Findings) > 0 {
		w.Name("findings")
		writeFindings(w, r.Findings)
	}
	w.End('}')
}

// insert puts a member of an object before its end, which is that of the text. A report without members is none.
func insert(text *bytes.Buffer, end, name string, value []byte) error {
	if value == nil {
		return nil
	}
	if !bytes.HasSuffix(text.Bytes(), []byte(end)) {
		return errors.New("encoding/json ends an object otherwise than it did")
	}
	text.Truncate(text.Len() - len(end))
	text.WriteString(name)
	text.Write(value)
	text.WriteString(end)
	return nil
}

// findings are those of a report as JSON. There is no list of none.
func findings(all []v1alpha1.Finding, w jsonwriter.Writer) ([]byte, error) {
	if len(all) == 0 {
		return nil, nil
	}
	w.Grow(ofFinding * len(all))
	writeFindings(&w, all)
	return w.Text()
}

// writeFindings writes a list of findings out, because they are nearly all of a report: encoding/json looks at their types by
// reflection, and goes over each text again to indent it.
func writeFindings(w *jsonwriter.Writer, all []v1alpha1.Finding) {
	var seen seenTime
	w.Begin('[')
	for i := range all {
		finding(w, &all[i], &seen)
	}
	w.End(']')
}

func finding(w *jsonwriter.Writer, f *v1alpha1.Finding, seen *seenTime) {
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

// seenTime is a time as it was written last: that of most findings of a scan.
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
