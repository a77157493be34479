package trivy

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/document"
)

// vulnerability is Results[].Vulnerabilities[] (aquasecurity/trivy, pkg/types/vulnerability.go, and trivy-db, pkg/types).
type vulnerability struct {
	VulnerabilityID  document.Text
	VendorIDs        document.List[document.Text]
	PkgName, PkgPath document.Text
	PkgIdentifier    identifier
	InstalledVersion document.Text
	FixedVersion     document.Text
	Severity         document.Text
	SeveritySource   document.Text
	Title            document.Text
	CVSS             document.Object[map[string]document.Object[struct {
		V2Score, V3Score, V40Score    document.Text
		V2Vector, V3Vector, V40Vector document.Text
	}]]
}

var (
	cveID  = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,10}$`)
	ghsaID = regexp.MustCompile(`^GHSA(-[0-9a-z]{4}){3}$`)
)

var severities = map[document.Text]engine.Severity{
	"CRITICAL": engine.SeverityCritical, "HIGH": engine.SeverityHigh, "MEDIUM": engine.SeverityMedium, "LOW": engine.SeverityLow,
}

func (r *report) addFinding(v vulnerability) error {
	text := func(t document.Text) string { return engine.Text(string(t), maxText) }
	if v.VulnerabilityID == "" || len(r.findings) >= maxFindings {
		return fmt.Errorf("no id, or more than %d findings", maxFindings)
	}
	f := engine.Finding{
		ID: text(v.VulnerabilityID), Package: text(v.PkgName), Version: text(v.InstalledVersion), FixedVersion: text(v.FixedVersion),
		PURL: text(v.PkgIdentifier.V.PURL), Path: r.now.file(v.PkgPath),
		Severity: severities[v.Severity], Source: text(v.SeveritySource), Summary: text(v.Title),
	}
	for _, id := range append(document.List[document.Text]{v.VulnerabilityID}, v.VendorIDs[:min(len(v.VendorIDs), 16)]...) {
		switch name := text(id); {
		case cveID.MatchString(name):
			f.IDs.CVE = cmp.Or(f.IDs.CVE, name)
		case ghsaID.MatchString(name):
			f.IDs.GHSA = cmp.Or(f.IDs.GHSA, name)
		case !slices.Contains(f.IDs.Advisories, name):
			f.IDs.Advisories = append(f.IDs.Advisories, name)
		}
	}
	slices.Sort(f.IDs.Advisories)
	f.ID = cmp.Or(f.IDs.CVE, f.IDs.GHSA, f.ID)
	score(&f, v)
	if f.PURL == "" {
		f.PURL = "pkg:generic/" + url.PathEscape(f.Package) + "@" + url.PathEscape(f.Version)
	}
	if err := r.keptFindings.Finding(f); err != nil {
		return err
	}
	key := [2]string{f.ID, engine.Unqualified(f.PURL)}
	if have, ok := r.findings[key]; !ok || have.Severity.Rank() < f.Severity.Rank() {
		r.findings[key] = f
	}
	return nil
}

// score takes CVSS from who gave the severity, else from NVD, in its newest version.
func score(f *engine.Finding, v vulnerability) {
	for _, source := range []string{string(v.SeveritySource), "nvd"} {
		c, ok := v.CVSS.V[source]
		if !ok {
			continue
		}
		for _, s := range [][2]document.Text{{c.V.V40Score, c.V.V40Vector}, {c.V.V3Score, c.V.V3Vector}, {c.V.V2Score, c.V.V2Vector}} {
			if n, ok := s[0].Number(); ok && n > 0 && n <= 10 {
				f.Score, f.Vector = n, engine.Text(string(s[1]), maxText)
				return
			}
		}
	}
}

func sorted(found map[[2]string]engine.Finding) []engine.Finding {
	list := make([]engine.Finding, 0, len(found))
	for _, f := range found {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b engine.Finding) int {
		return cmp.Or(cmp.Compare(b.Severity.Rank(), a.Severity.Rank()), cmp.Compare(a.ID, b.ID), cmp.Compare(a.PURL, b.PURL))
	})
	return list
}
