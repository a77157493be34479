package sbom

import (
	"bytes"
	"strconv"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// CycloneDX returns the subject as a CycloneDX 1.6 document in JSON. The image is the document's own component; every
// package's reference is its package URL. The list of vulnerabilities is absent, not empty, where nothing was assessed.
func CycloneDX(s Subject) ([]byte, error) {
	id, err := s.uuid()
	if err != nil {
		return nil, err
	}
	// EncodeVersion would lose lists that are empty: it copies the document with encoding/gob.
	bom := cdx.NewBOM()
	bom.SpecVersion, bom.JSONSchema = cdx.SpecVersion1_6, "http://cyclonedx.org/schema/bom-1.6.schema.json"
	bom.SerialNumber = "urn:uuid:" + id
	bom.Metadata = &cdx.Metadata{
		Timestamp: s.CreatedAt.UTC().Format(TimeFormat),
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{{
			Type: cdx.ComponentTypeApplication, Name: "sifscan-" + s.Scanner, Version: s.Version,
		}}},
		Component: &cdx.Component{BOMRef: "image", Type: cdx.ComponentTypeContainer, Name: s.Name},
	}
	if s.Architecture != "" {
		bom.Metadata.Component.Properties = &[]cdx.Property{{Name: "sifscan:architecture", Value: s.Architecture}}
	}
	components := make([]cdx.Component, 0, len(s.Packages)+1)
	if s.OS.Known() {
		components = append(components, cdxOS(s.OS))
	}
	for _, p := range s.Packages {
		components = append(components, cdxComponent(p))
	}
	bom.Metadata.Properties = &[]cdx.Property{{Name: "sifscan:packagesNotAssessed", Value: strconv.Itoa(s.NotAssessed)}}
	if s.Assessed {
		components = append(components, cdxMissing(s)...)
		bom.Vulnerabilities = cdxVulnerabilities(s)
	}
	bom.Components = &components

	var b bytes.Buffer
	encoder := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	if err := encoder.Encode(bom); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func cdxOS(os engine.OS) cdx.Component {
	return cdx.Component{
		BOMRef:      "operating-system",
		Type:        cdx.ComponentTypeOS,
		Name:        or(os.Family, os.Name),
		Version:     os.Version,
		Description: os.Name,
	}
}

func cdxComponent(p engine.Package) cdx.Component {
	c := cdx.Component{
		BOMRef:     p.PURL,
		Type:       cdx.ComponentTypeLibrary,
		Name:       p.Name,
		Version:    p.Version,
		PackageURL: p.PURL,
	}
	if len(p.Licenses) > 0 {
		licenses := make(cdx.Licenses, 0, len(p.Licenses))
		for _, name := range p.Licenses {
			licenses = append(licenses, cdx.LicenseChoice{License: &cdx.License{Name: name}})
		}
		c.Licenses = &licenses
	}
	var properties []cdx.Property
	if p.SourceName != "" {
		properties = append(properties, cdx.Property{Name: "sifscan:sourcePackage", Value: p.SourceName})
	}
	if p.SourceVersion != "" {
		properties = append(properties, cdx.Property{Name: "sifscan:sourceVersion", Value: p.SourceVersion})
	}
	if len(properties) > 0 {
		c.Properties = &properties
	}
	if !fromDatabase(p.Type) && len(p.Locations) > 0 {
		occurrences := make([]cdx.EvidenceOccurrence, 0, len(p.Locations))
		for _, location := range p.Locations {
			occurrences = append(occurrences, cdx.EvidenceOccurrence{Location: location})
		}
		c.Evidence = &cdx.Evidence{Occurrences: &occurrences}
	}
	return c
}
