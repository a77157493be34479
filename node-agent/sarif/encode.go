// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sarif

import "github.com/sifscan/sifscan-operator/node-agent/jsonwriter"

// encode writes a run, its results one a line. Rules and results are written out, because they are nearly all of a document: by
// encoding/json they were a tenth of the CPU of matching an image again.
func encode(r run) ([]byte, error) {
	const ofResult, ofRule = 900, 600 // bytes that most take
	var w jsonwriter.Writer
	w.Grow(4096 + ofResult*len(r.Results) + ofRule*len(r.Tool.Driver.Rules))
	w.Begin('{')
	w.Member("$schema", schemaURI)
	w.Member("version", "2.1.0")
	w.Name("runs")
	w.Begin('[')
	r.write(&w)
	w.End(']')
	w.End('}')
	w.Break()
	return w.Text()
}

func (r *run) write(w *jsonwriter.Writer) {
	w.Begin('{')
	w.Name("tool")
	w.Begin('{')
	w.Name("driver")
	r.Tool.Driver.write(w)
	w.End('}')
	w.Name("automationDetails")
	w.Value(r.Automation)
	w.Name("invocations")
	w.Value(r.Invocations)
	w.Name("originalUriBaseIds")
	w.Value(r.BaseIDs)
	w.Member("columnKind", r.ColumnKind)
	w.Name("properties")
	w.Value(r.Properties)
	w.Name("results")
	w.Begin('[')
	for i := range r.Results {
		r.Results[i].write(w)
		w.Break()
	}
	w.End(']')
	w.End('}')
}

func (d *driver) write(w *jsonwriter.Writer) {
	w.Begin('{')
	w.Member("name", d.Name)
	w.Optional("version", d.Version)
	w.Name("rules")
	w.Begin('[')
	for i := range d.Rules {
		d.Rules[i].write(w)
	}
	w.End(']')
	if len(d.Notifications) > 0 {
		w.Name("notifications")
		w.Value(d.Notifications)
	}
	w.End('}')
}

func (x *rule) write(w *jsonwriter.Writer) {
	w.Begin('{')
	w.Member("id", x.ID)
	x.Short.write(w, "shortDescription")
	x.Full.write(w, "fullDescription")
	w.Optional("helpUri", x.HelpURI)
	w.Name("defaultConfiguration")
	w.Begin('{')
	w.Member("level", x.Configuration.Level)
	w.End('}')
	w.Name("properties")
	w.Begin('{')
	w.Member("security-severity", x.Properties.SecuritySeverity)
	w.Optional("severity", x.Properties.Severity)
	w.Optional("cvss", x.Properties.Vector)
	w.Optional("severitySource", x.Properties.SeveritySource)
	w.Name("tags")
	w.Begin('[')
	for _, t := range x.Properties.Tags {
		w.String(t)
	}
	w.End(']')
	w.End('}')
	w.End('}')
}

func (m message) write(w *jsonwriter.Writer, name string) {
	w.Name(name)
	w.Begin('{')
	w.Member("text", m.Text)
	w.End('}')
}

func (x *result) write(w *jsonwriter.Writer) {
	w.Begin('{')
	w.Member("ruleId", x.RuleID)
	w.Name("ruleIndex")
	w.Int(x.RuleIndex)
	w.Member("level", x.Level)
	x.Message.write(w, "message")
	w.Name("locations")
	w.Begin('[')
	for i := range x.Locations {
		x.Locations[i].write(w)
	}
	w.End(']')
	w.Name("partialFingerprints")
	w.Begin('{')
	w.Member(fingerprint, x.Fingerprints[fingerprint])
	w.End('}')
	if p := x.Properties; p != nil {
		w.Name("properties")
		w.Begin('{')
		w.Member("severity", p.Severity)
		w.Optional("score", p.Score)
		w.Member("package", p.Package)
		w.Optional("version", p.Version)
		w.Optional("purl", p.PURL)
		w.Optional("fixedVersion", p.FixedVersion)
		w.End('}')
	}
	w.End('}')
}

func (x *location) write(w *jsonwriter.Writer) {
	w.Begin('{')
	w.Name("physicalLocation")
	w.Begin('{')
	w.Name("artifactLocation")
	w.Begin('{')
	w.Member("uri", x.Physical.Artifact.URI)
	w.Optional("uriBaseId", x.Physical.Artifact.BaseID)
	w.End('}')
	if x.Physical.Region != nil {
		w.Name("region")
		w.Begin('{')
		w.Name("startLine")
		w.Int(x.Physical.Region.StartLine)
		w.End('}')
	}
	w.End('}')
	if len(x.Logical) > 0 {
		w.Name("logicalLocations")
		w.Begin('[')
		for _, l := range x.Logical {
			w.Begin('{')
			w.Member("name", l.Name)
			w.Optional("fullyQualifiedName", l.QualifiedName)
			w.Member("kind", l.Kind)
			w.End('}')
		}
		w.End(']')
	}
	w.End('}')
}
