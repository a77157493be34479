package native

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
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

// makeDocuments returns the documents the target asks for.
func makeDocuments(t engine.Target, r *engine.Result, unowned *insight) (map[string][]byte, error) {
	subject := sbom.Subject{
		Name:         engine.Text(t.DisplayName, maxLocation),
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
		{engine.FormatJSON, engine.InventoryFile, func() ([]byte, error) { return makeInventory(t, subject, r, unowned) }},
		{engine.FormatSPDX, engine.SPDXFile, func() ([]byte, error) { return sbom.SPDX(subject) }},
		{engine.FormatCycloneDX, engine.CycloneDXFile, func() ([]byte, error) { return sbom.CycloneDX(subject) }},
	} {
		if !t.Wants(d.format) {
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

func makeInventory(t engine.Target, subject sbom.Subject, r *engine.Result, unowned *insight) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	packages := r.Packages
	if packages == nil {
		packages = []engine.Package{}
	}
	document := nativeDocument{
		Schema:          inventorySchema,
		Target:          subject.Name,
		Architecture:    t.Architecture,
		CreatedAt:       t.CreatedAt.UTC().Format(sbom.TimeFormat),
		Engine:          engineName{Name: Name, Version: r.EngineVersion},
		OS:              r.OS,
		Packages:        packages,
		Database:        r.Database,
		Findings:        r.Findings,
		NotAssessed:     r.NotAssessed,
		Secrets:         r.Secrets,
		Warnings:        r.Warnings,
		DroppedWarnings: r.DroppedWarnings,
	}
	if unowned != nil {
		document.UnownedFiles = &unowned.report
	}
	err := encoder.Encode(document)
	return b.Bytes(), err
}
