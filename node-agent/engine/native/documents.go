package native

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/jsonwriter"
	"github.com/sifscan/sifscan-operator/node-agent/sbom"
)

// nativeDocument is the native engine's own document. Fields are only ever added.
type nativeDocument struct {
	Schema          string           `json:"schema"`
	Target          string           `json:"target"`
	Architecture    string           `json:"architecture,omitempty"`
	CreatedAt       string           `json:"createdAt"`
	Engine          engineName       `json:"engine"`
	OS              engine.OS        `json:"os"`
	Packages        []engine.Package `json:"packages"`
	Database        *engine.Database `json:"database,omitempty"`
	Findings        []engine.Finding `json:"findings,omitempty"`
	NotAssessed     int              `json:"notAssessed"`
	Secrets         []engine.Secret  `json:"secrets,omitempty"`
	UnownedFiles    *insightReport   `json:"unownedFiles,omitempty"`
	Warnings        []engine.Warning `json:"warnings,omitempty"`
	DroppedWarnings int              `json:"droppedWarnings,omitempty"`
}

type engineName struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

const inventorySchema = "sifscan.io/inventory/v1"

// makeDocuments returns the documents the target asks for, but for those that are unchanged.
func makeDocuments(t engine.Target, r *engine.Result, inventory func() ([]byte, error)) (map[string][]byte, error) {
	subject := sbom.Subject{
		Name:         nameOf(t),
		Architecture: t.Architecture,
		CreatedAt:    t.CreatedAt,
		Scanner:      Name,
		Version:      r.EngineVersion,
		OS:           r.OS,
		Packages:     r.Packages,
		Assessed:     r.Assessed(),
		NotAssessed:  r.NotAssessed,
		Findings:     r.Findings,
	}
	documents := map[string][]byte{}
	for _, d := range []struct {
		format engine.Format
		name   string
		make   func() ([]byte, error)
	}{
		{engine.FormatJSON, engine.InventoryFile, inventory},
		{engine.FormatSPDX, engine.SPDXFile, func() ([]byte, error) { return sbom.SPDX(subject) }},
		{engine.FormatCycloneDX, engine.CycloneDXFile, func() ([]byte, error) { return sbom.CycloneDX(subject) }},
	} {
		if !t.Wants(d.format) || slices.Contains(r.Unchanged, d.name) {
			continue
		}
		data, err := d.make()
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", d.name, err)
		}
		documents[d.name] = data
	}
	return documents, nil
}

// nameOf is what documents call the target.
func nameOf(t engine.Target) string { return engine.Text(t.DisplayName, maxLocation) }

// inventoryTexts are members of an inventory as they are written. The packages are most of it: matched again, they are not
// written anew.
type inventoryTexts struct {
	packages string
	findings []byte // no findings: empty
}

func textsOf(r *engine.Result) (x inventoryTexts, err error) {
	if x.packages, err = indented(append([]engine.Package{}, r.Packages...)); err == nil { // [] and not null
		x.findings, err = findingsText(r)
	}
	return x, err
}

func findingsText(r *engine.Result) ([]byte, error) {
	if len(r.Findings) == 0 {
		return nil, nil
	}
	const ofFinding = 640 // bytes that most take
	w := jsonwriter.Writer{Prefix: " ", Indent: " "}
	w.Grow(ofFinding * len(r.Findings))
	w.Begin('[')
	for i := range r.Findings {
		writeFinding(&w, &r.Findings[i])
	}
	w.End(']')
	return w.Text()
}

// writeFinding writes a finding as encoding/json does, which took a twelfth of the CPU of matching an image again.
func writeFinding(w *jsonwriter.Writer, f *engine.Finding) {
	w.Begin('{')
	w.Member("id", f.ID)
	w.Name("ids")
	w.Begin('{')
	w.Optional("cve", f.IDs.CVE)
	w.Optional("ghsa", f.IDs.GHSA)
	w.Optional("qid", f.IDs.QID)
	if len(f.IDs.Advisories) > 0 {
		w.Name("advisories")
		w.Begin('[')
		for _, id := range f.IDs.Advisories {
			w.String(id)
		}
		w.End(']')
	}
	w.End('}')
	w.Member("package", f.Package)
	w.Member("version", f.Version)
	w.Member("purl", f.PURL)
	w.Optional("path", f.Path)
	w.Optional("severity", string(f.Severity))
	if f.Score != 0 {
		w.Name("score")
		w.Float(f.Score)
	}
	w.Optional("vector", f.Vector)
	w.Optional("severitySource", f.Source)
	w.Optional("fixedVersion", f.FixedVersion)
	w.Optional("summary", f.Summary)
	w.End('}')
}

// makeInventory writes a nativeDocument, member by member.
func makeInventory(t engine.Target, r *engine.Result, unowned *insight, x inventoryTexts) ([]byte, error) {
	var w memberWriter
	w.b.Grow(len(x.packages) + len(x.findings) + 8192)
	w.member("schema", inventorySchema, true)
	w.member("target", nameOf(t), true)
	w.member("architecture", t.Architecture, t.Architecture != "")
	w.member("createdAt", t.CreatedAt.UTC().Format(sbom.TimeFormat), true)
	w.member("engine", engineName{Name: Name, Version: r.EngineVersion}, true)
	w.member("os", r.OS, true)
	w.name("packages")
	w.b.WriteString(x.packages)
	w.member("database", r.Database, r.Database != nil)
	if len(x.findings) > 0 {
		w.name("findings")
		w.b.Write(x.findings)
	}
	w.member("notAssessed", r.NotAssessed, true)
	w.member("secrets", r.Secrets, len(r.Secrets) > 0)
	if unowned != nil {
		w.member("unownedFiles", unowned.report, true)
	}
	w.member("warnings", r.Warnings, len(r.Warnings) > 0)
	w.member("droppedWarnings", r.DroppedWarnings, r.DroppedWarnings > 0)
	w.b.WriteString("\n}\n")
	return w.b.Bytes(), w.err
}

// memberWriter writes an object as encoding/json would indent it.
type memberWriter struct {
	b   bytes.Buffer
	err error
}

// member writes a member, if there is one.
func (w *memberWriter) member(name string, value any, is bool) {
	if !is || w.err != nil {
		return
	}
	text, err := indented(value)
	w.err = err
	w.name(name)
	w.b.WriteString(text)
}

// name begins a member.
func (w *memberWriter) name(name string) {
	before := ",\n"
	if w.b.Len() == 0 {
		before = "{\n"
	}
	for _, part := range []string{before, ` "`, name, `": `} {
		w.b.WriteString(part)
	}
}

// indented is a value as it stands in an object.
func indented(value any) (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent(" ", " ")
	err := encoder.Encode(value)
	return strings.TrimSuffix(b.String(), "\n"), err
}
