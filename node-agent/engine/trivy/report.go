package trivy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/document"
)

// Bounds of what one report gives.
const (
	maxFindings = 100_000
	maxSecrets  = 1000
	maxText     = 256
)

type identifier = document.Object[struct {
	PURL document.Text
}]

// trivyPackage is Results[].Packages[] of trivy's report, schema version 2 (aquasecurity/trivy, pkg/fanal/types/artifact.go).
type trivyPackage struct {
	ID                              document.Text
	Name, Version, Release, Arch    document.Text
	SrcName, SrcVersion, SrcRelease document.Text
	Identifier                      identifier
	Licenses                        document.List[document.Text]
	FilePath                        document.Text
}

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

type secret struct {
	RuleID    document.Text
	StartLine document.Text
}

// readReport reads trivy's JSON.
func (e *Engine) readReport(r *engine.Result, data []byte) error {
	if err := readVersion(r, data); err != nil {
		return err
	}
	packages := map[string]engine.Package{}
	skipped, err := document.Each(data, func(raw json.RawMessage) error {
		var p trivyPackage
		if err := json.Unmarshal(raw, &p); err != nil {
			return err
		}
		return addPackage(packages, p)
	}, "Results", "*", "Packages", "*")
	if err != nil {
		return err
	}
	r.Packages = document.Sorted(slices.Collect(maps.Values(packages)))
	r.NotAssessed, r.Database = len(r.Packages), e.database
	found := map[[2]string]engine.Finding{}
	more, err := document.Each(data, func(raw json.RawMessage) error {
		var v vulnerability
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		return addFinding(found, v)
	}, "Results", "*", "Vulnerabilities", "*")
	if err != nil {
		return err
	}
	if r.Database != nil {
		r.NotAssessed = 0
		r.Findings = sorted(found)
	}
	if skipped += more; skipped > 0 {
		r.Warnings = append(r.Warnings, engine.Warning{Message: fmt.Sprintf("%d entries of trivy's report cannot be read", skipped)})
	}
	return readSecrets(r, data)
}

// readInventory reads the CycloneDX document of a run that matches nothing.
func readInventory(r *engine.Result, data []byte) error {
	in, err := document.CycloneDX(data, Name)
	if err != nil {
		return err
	}
	if in.Skipped > 0 {
		r.Warnings = append(r.Warnings, engine.Warning{Message: fmt.Sprintf("%d components of trivy's SBOM cannot be read", in.Skipped)})
	}
	r.Packages, r.NotAssessed = in.Packages, len(in.Packages)
	return nil
}

func readVersion(r *engine.Result, data []byte) error {
	schema := ""
	text := func(into *string, path ...string) error {
		_, err := document.Each(data, func(raw json.RawMessage) error {
			var t document.Text
			_ = json.Unmarshal(raw, &t)
			*into = engine.Text(string(t), maxText)
			return nil
		}, path...)
		return err
	}
	version := ""
	if err := errors.Join(text(&schema, "SchemaVersion"), text(&version, "Trivy", "Version")); err != nil {
		return err
	}
	if schema != "2" {
		return fmt.Errorf("its schema version is %q, and 2 is what can be read", schema)
	}
	r.EngineVersion = cmp.Or(version, r.EngineVersion)
	return nil
}

func addPackage(packages map[string]engine.Package, x trivyPackage) error {
	version := string(x.Version)
	if x.Release != "" { // of RPM and Debian packages
		version += "-" + string(x.Release)
	}
	p, err := document.Package(string(x.Name), version, string(x.Identifier.V.PURL))
	if err != nil {
		return err
	}
	source := string(x.SrcVersion)
	if x.SrcRelease != "" {
		source += "-" + string(x.SrcRelease)
	}
	if name := engine.Text(string(x.SrcName), maxText); name != p.Name {
		p.SourceName = name
	}
	if source = engine.Text(source, maxText); source != p.Version {
		p.SourceVersion = source
	}
	p.Architecture = engine.Text(string(x.Arch), 32)
	for _, l := range x.Licenses[:min(len(x.Licenses), 16)] {
		p.Licenses = append(p.Licenses, engine.Text(string(l), maxText))
	}
	if x.FilePath != "" {
		p.Locations = []string{document.Path(string(x.FilePath))}
	}
	p.FoundBy = []string{Name}
	if have, ok := packages[p.PURL]; ok {
		if len(have.Locations) < 16 {
			have.Locations = append(have.Locations, p.Locations...)
			slices.Sort(have.Locations)
		}
		p = have
	}
	packages[p.PURL] = p
	return nil
}

var (
	cveID  = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,10}$`)
	ghsaID = regexp.MustCompile(`^GHSA(-[0-9a-z]{4}){3}$`)
)

var severities = map[document.Text]engine.Severity{
	"CRITICAL": engine.SeverityCritical, "HIGH": engine.SeverityHigh, "MEDIUM": engine.SeverityMedium, "LOW": engine.SeverityLow,
}

func addFinding(found map[[2]string]engine.Finding, v vulnerability) error {
	text := func(t document.Text) string { return engine.Text(string(t), maxText) }
	if v.VulnerabilityID == "" || len(found) >= maxFindings {
		return fmt.Errorf("no id, or more than %d findings", maxFindings)
	}
	f := engine.Finding{
		ID: text(v.VulnerabilityID), Package: text(v.PkgName), Version: text(v.InstalledVersion), FixedVersion: text(v.FixedVersion),
		PURL: text(v.PkgIdentifier.V.PURL), Path: document.Path(string(v.PkgPath)),
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
		f.PURL = "pkg:generic/" + strings.ReplaceAll(f.Package, "/", "%2F") + "@" + f.Version
	}
	key := [2]string{f.ID, f.PURL}
	if have, ok := found[key]; !ok || have.Severity.Rank() < f.Severity.Rank() {
		found[key] = f
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

// readSecrets takes rule and place of each secret, and nothing of the secret.
func readSecrets(r *engine.Result, data []byte) error {
	_, err := document.EachWhole(data, func(raw json.RawMessage) error {
		var result struct {
			Target  document.Text
			Secrets document.List[secret]
		}
		if err := json.Unmarshal(raw, &result); err != nil {
			return err
		}
		for _, s := range result.Secrets {
			if len(r.Secrets) >= maxSecrets {
				return nil
			}
			line, _ := s.StartLine.Number()
			r.Secrets = append(r.Secrets, engine.Secret{
				Rule: engine.Text(string(s.RuleID), 64), Path: document.Path(string(result.Target)), Line: int(min(max(line, 0), 1<<30)),
			})
		}
		return nil
	}, "Results", "*")
	slices.SortFunc(r.Secrets, func(a, b engine.Secret) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	return err
}

// keepInventory hands on trivy's own document. Where it found secrets, it quotes the lines around them: these stay here.
func keepInventory(r *engine.Result, data []byte) error {
	if err := document.Sound(data); err != nil {
		return err
	}
	if len(r.Secrets) == 0 {
		r.Documents[engine.InventoryFile] = data
		return nil
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return err
	}
	var results []json.RawMessage
	_, err := document.EachWhole(data, func(raw json.RawMessage) error {
		var result map[string]json.RawMessage
		if err := json.Unmarshal(raw, &result); err != nil {
			return err
		}
		if _, has := result["Secrets"]; has {
			delete(result, "Secrets")
			var err error
			if raw, err = json.Marshal(result); err != nil {
				return err
			}
		}
		results = append(results, raw)
		return nil
	}, "Results", "*")
	if err != nil {
		return err
	}
	if top["Results"], err = json.Marshal(results); err != nil {
		return err
	}
	r.Documents[engine.InventoryFile], err = json.Marshal(top)
	return err
}
