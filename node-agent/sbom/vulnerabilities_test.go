package sbom

import (
	"bytes"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/report/reporttest"
)

// vulnerable is a subject with findings, of packages that it lists and of others.
func vulnerable() Subject {
	s := subject()
	s.Assessed, s.NotAssessed, s.Findings = true, 1, reporttest.Findings()
	s.Findings[0].PURL = s.Packages[0].PURL
	return s
}

func decode(t *testing.T, s Subject) cdx.BOM {
	t.Helper()
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(mustMake(t, CycloneDX, s)), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	return bom
}

func TestEveryFindingIsAVulnerabilityOfAComponent(t *testing.T) {
	bom := decode(t, vulnerable())
	components := map[string]int{}
	for _, c := range *bom.Components {
		components[c.BOMRef]++
	}
	affected := map[string]bool{}
	for _, v := range *bom.Vulnerabilities {
		for _, a := range *v.Affects {
			affected[v.ID+" "+a.Ref] = true
			if components[a.Ref] != 1 {
				t.Errorf("%s refers to %s, of which there are %d", v.ID, a.Ref, components[a.Ref])
			}
		}
	}
	for _, f := range vulnerable().Findings {
		if !affected[f.ID+" "+f.PURL] {
			t.Errorf("%s of %s is missing", f.ID, f.PURL)
		}
	}
	if len(affected) != len(vulnerable().Findings) || len(*bom.Vulnerabilities) != len(affected)-1 {
		t.Errorf("%d vulnerabilities of %d packages", len(*bom.Vulnerabilities), len(affected))
	}
	first := (*bom.Vulnerabilities)[0]
	score := 9.8
	want := cdx.Vulnerability{
		ID: "CVE-2099-0001", Source: &cdx.Source{Name: "NVD", URL: "https://nvd.nist.gov/"}, Description: vulnerable().Findings[0].Summary,
		References: &[]cdx.VulnerabilityReference{
			{ID: "GHSA-aaaa-bbbb-cccc", Source: &cdx.Source{Name: "GitHub", URL: "https://github.com/advisories"}},
			{ID: "DSA-1-1", Source: &cdx.Source{Name: "sifscan-native"}},
		},
		Ratings: &[]cdx.VulnerabilityRating{{
			Source: &cdx.Source{Name: "CVSS 3.1"}, Score: &score, Severity: cdx.SeverityCritical, Method: cdx.ScoringMethodCVSSv31,
			Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
		}},
		Affects: &[]cdx.Affects{
			{Ref: vulnerable().Findings[0].PURL, Range: &[]cdx.AffectedVersions{{Version: "3.0.11-1", Status: "affected"}, {Version: "3.0.12-1", Status: "unaffected"}}},
			{Ref: vulnerable().Findings[1].PURL, Range: &[]cdx.AffectedVersions{{Version: "3.0.11-1", Status: "affected"}, {Version: "3.0.12-1", Status: "unaffected"}}},
		},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
}

func TestTheMethodOfARatingIsThatOfItsVector(t *testing.T) {
	for vector, want := range map[string]cdx.ScoringMethod{
		"CVSS:4.0/AV:N": "CVSSv4", "CVSS:3.1/AV:N": "CVSSv31", "CVSS:3.0/AV:N": "CVSSv3", "AV:N/AC:L": "CVSSv2", "": "other", "HIGH": "other",
	} {
		if r := cdxRating(&engine.Finding{Vector: vector}); r.Method != want || r.Severity != cdx.SeverityUnknown || r.Score != nil {
			t.Errorf("%q: %+v", vector, r)
		}
	}
}

func TestNoListOfVulnerabilitiesIsNotAnEmptyOne(t *testing.T) {
	s := subject()
	s.NotAssessed = 2
	bom := decode(t, s)
	if bom.Vulnerabilities != nil || (*bom.Metadata.Properties)[0].Value != "2" {
		t.Errorf("of an image that nobody assessed: %+v, %+v", bom.Vulnerabilities, bom.Metadata.Properties)
	}
	s.Assessed, s.NotAssessed = true, 0
	if bom := decode(t, s); bom.Vulnerabilities == nil || len(*bom.Vulnerabilities) != 0 {
		t.Errorf("of an image without findings: %+v", bom.Vulnerabilities)
	}
}

func TestTheInventoryStaysTheSameWhileTheDatabaseLearns(t *testing.T) {
	if !bytes.Equal(mustMake(t, SPDX, subject()), mustMake(t, SPDX, vulnerable())) {
		t.Error("SPDX changed with the findings")
	}
	if bytes.Equal(mustMake(t, CycloneDX, subject()), mustMake(t, CycloneDX, vulnerable())) {
		t.Error("CycloneDX did not change with the findings")
	}
}
