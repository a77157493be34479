package sbom

import (
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// cdxVulnerabilities makes one vulnerability of the findings that tell the same of different packages; they follow one
// another. A vulnerability that is rated differently for two packages is two.
func cdxVulnerabilities(s Subject) *[]cdx.Vulnerability {
	list := []cdx.Vulnerability{}
	for i := range s.Findings {
		f := &s.Findings[i]
		if i == 0 || !sameVulnerability(f, &s.Findings[i-1]) {
			list = append(list, cdxVulnerability(f, s.Scanner))
		}
		affects := list[len(list)-1].Affects
		*affects = append(*affects, cdxAffects(f))
	}
	return &list
}

func sameVulnerability(a, b *engine.Finding) bool {
	return a.ID == b.ID && a.Severity == b.Severity && a.Score == b.Score && a.Vector == b.Vector && a.Source == b.Source
}

func cdxVulnerability(f *engine.Finding, scanner string) cdx.Vulnerability {
	v := cdx.Vulnerability{
		ID: f.ID, Source: publisher(f.ID, scanner), Description: f.Summary,
		Ratings: &[]cdx.VulnerabilityRating{cdxRating(f)}, Affects: &[]cdx.Affects{},
	}
	var references []cdx.VulnerabilityReference
	for _, id := range append([]string{f.IDs.CVE, f.IDs.GHSA}, f.IDs.Advisories...) {
		if id != "" && id != f.ID {
			references = append(references, cdx.VulnerabilityReference{ID: id, Source: publisher(id, scanner)})
		}
	}
	if f.IDs.QID != "" {
		references = append(references, cdx.VulnerabilityReference{ID: "QID-" + f.IDs.QID, Source: &cdx.Source{Name: "Qualys"}})
	}
	if len(references) > 0 {
		v.References = &references
	}
	return v
}

// publisher is who gives out a vulnerability's name.
func publisher(id, scanner string) *cdx.Source {
	switch {
	case strings.HasPrefix(id, "CVE-"):
		return &cdx.Source{Name: "NVD", URL: "https://nvd.nist.gov/"}
	case strings.HasPrefix(id, "GHSA-"):
		return &cdx.Source{Name: "GitHub", URL: "https://github.com/advisories"}
	}
	return &cdx.Source{Name: "sifscan-" + scanner}
}

func cdxRating(f *engine.Finding) cdx.VulnerabilityRating {
	r := cdx.VulnerabilityRating{Severity: cdx.SeverityUnknown, Vector: f.Vector}
	if f.Severity.Rank() > 0 {
		r.Severity = cdx.Severity(f.Severity)
	}
	if f.Source != "" {
		r.Source = &cdx.Source{Name: f.Source}
	}
	if f.Score > 0 && f.Score <= 10 {
		r.Score = &f.Score
	}
	switch {
	case strings.HasPrefix(f.Vector, "CVSS:4"):
		r.Method = cdx.ScoringMethodCVSSv4
	case strings.HasPrefix(f.Vector, "CVSS:3.1"):
		r.Method = cdx.ScoringMethodCVSSv31
	case strings.HasPrefix(f.Vector, "CVSS:3"):
		r.Method = cdx.ScoringMethodCVSSv3
	case strings.HasPrefix(f.Vector, "AV:"):
		r.Method = cdx.ScoringMethodCVSSv2
	default:
		r.Method = cdx.ScoringMethodOther
	}
	return r
}

func cdxAffects(f *engine.Finding) cdx.Affects {
	a := cdx.Affects{Ref: f.PURL}
	var versions []cdx.AffectedVersions
	if f.Version != "" {
		versions = append(versions, cdx.AffectedVersions{Version: f.Version, Status: cdx.VulnerabilityStatusAffected})
	}
	if f.FixedVersion != "" {
		versions = append(versions, cdx.AffectedVersions{Version: f.FixedVersion, Status: cdx.VulnerabilityStatusNotAffected})
	}
	if len(versions) > 0 {
		a.Range = &versions
	}
	return a
}

// cdxMissing are components for packages that findings name and the inventory lacks: an engine may name a package that it
// does not list, and a reference must lead somewhere.
func cdxMissing(s Subject) (components []cdx.Component) {
	known := make(map[string]struct{}, len(s.Packages))
	for i := range s.Packages {
		known[s.Packages[i].PURL] = struct{}{}
	}
	for i := range s.Findings {
		f := &s.Findings[i]
		if _, ok := known[f.PURL]; ok {
			continue
		}
		known[f.PURL] = struct{}{}
		components = append(components, cdxComponent(engine.Package{Name: f.Package, Version: f.Version, PURL: f.PURL}))
	}
	return components
}
