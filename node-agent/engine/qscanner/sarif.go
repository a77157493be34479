package qscanner

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/document"
)

// Bounds of what one SARIF document gives. A detection names up to some thirty CVEs.
const (
	maxFindings = 100_000
	maxIDs      = 64
	maxText     = 256
)

// rule is a detection. qscanner's severity goes from 1 to 5, and a customer may set another.
type rule struct {
	ID     document.Text `json:"id"`
	Short  textOf        `json:"shortDescription"`
	Config document.Object[struct {
		Level document.Text `json:"level"`
	}] `json:"defaultConfiguration"`
	Properties document.Object[struct {
		Severity         document.Text                `json:"severity"`
		CustomerSeverity document.Text                `json:"customerSeverity"`
		CVEs             document.List[document.Text] `json:"cve-ids"`
		Score            document.Text                `json:"security-severity"`
		Tags             document.List[document.Text] `json:"tags"`
	}] `json:"properties"`
}

type textOf struct {
	document.Object[struct {
		Text document.Text `json:"text"`
	}]
}

// sarifResult is a detection in one image: one result can name many packages.
type sarifResult struct {
	RuleID     document.Text `json:"ruleId"`
	Level      document.Text `json:"level"`
	Properties document.Object[struct {
		QID      document.Text           `json:"QID"`
		Software document.List[software] `json:"vulnerableSoftware"`
	}] `json:"properties"`
	Locations document.List[struct {
		Physical document.Object[struct {
			Artifact document.Object[struct {
				URI document.Text `json:"uri"`
			}] `json:"artifactLocation"`
		}] `json:"physicalLocation"`
	}] `json:"locations"`
}

type software struct {
	Name      document.Text `json:"name"`
	Installed document.Text `json:"installedVersion"`
	Fixed     document.Text `json:"fixedVersion"`
}

// vulnerabilities is what a SARIF document says.
type vulnerabilities struct {
	findings []engine.Finding
	// version of the program that wrote it.
	version string
	skipped document.Skipped
}

// readSARIF reads the findings of a SARIF document. Packages are those of the same scan, which give findings their URLs.
func readSARIF(data []byte, packages []engine.Package) (vulnerabilities, error) {
	var v vulnerabilities
	rules := map[string]rule{}
	skipped, err := document.Each(data, func(raw json.RawMessage) error {
		var r rule
		if err := json.Unmarshal(raw, &r); err != nil {
			return err
		}
		rules[string(r.ID)] = r
		return nil
	}, "runs", "*", "tool", "driver", "rules", "*")
	if err != nil {
		return v, err
	}
	v.skipped += skipped
	_, err = document.Each(data, func(raw json.RawMessage) error {
		var version document.Text
		_ = json.Unmarshal(raw, &version)
		v.version = engine.Text(string(version), 64)
		return nil
	}, "runs", "*", "tool", "driver", "version")
	if err != nil {
		return v, err
	}
	found := newFindings(packages)
	runs := 0
	skipped, err = document.Each(data, func(raw json.RawMessage) error {
		var r sarifResult
		if err := json.Unmarshal(raw, &r); err != nil {
			return err
		}
		return found.add(r, rules[string(r.RuleID)])
	}, "runs", "*", "results", "*")
	if err != nil {
		return v, err
	}
	v.skipped += skipped
	_, err = document.EachWhole(data, func(json.RawMessage) error { runs++; return nil }, "runs", "*")
	if err == nil && runs == 0 {
		err = fmt.Errorf("it has no run")
	}
	v.findings = found.sorted()
	return v, err
}

// findings are one for each vulnerability and package.
type findings struct {
	urls map[string]engine.Package // by name and version
	byID map[[2]string]engine.Finding
	kept engine.Kept
}

func newFindings(packages []engine.Package) *findings {
	f := &findings{urls: make(map[string]engine.Package, len(packages)), byID: map[[2]string]engine.Finding{}}
	for _, p := range packages {
		key := p.Name + "\x00" + p.Version
		if _, taken := f.urls[key]; !taken {
			f.urls[key] = p
		}
	}
	return f
}

// add adds what one result says. A detection of several CVEs is one finding for each: the CVE is what other scanners count.
func (f *findings) add(r sarifResult, of rule) error {
	qid := digits(cmp.Or(string(r.Properties.V.QID), string(r.RuleID)))
	packages := r.Properties.V.Software
	if len(packages) == 0 {
		return fmt.Errorf("a result without vulnerableSoftware")
	}
	ids := cves(of)
	if len(ids) == 0 {
		ids = []string{""}
	}
	for _, s := range packages {
		for _, cve := range ids {
			if len(f.byID) >= maxFindings {
				return fmt.Errorf("more than %d findings", maxFindings)
			}
			x := f.finding(r, of, s, cve, qid)
			if err := f.kept.Finding(x); err != nil {
				return err
			}
			f.put(x)
		}
	}
	return nil
}

func (f *findings) finding(r sarifResult, of rule, s software, cve, qid string) engine.Finding {
	text := func(t document.Text) string { return engine.Text(string(t), maxText) }
	out := engine.Finding{
		ID:           cve,
		IDs:          engine.IDs{CVE: cve, QID: qid},
		Package:      text(s.Name),
		Version:      text(s.Installed),
		FixedVersion: text(s.Fixed),
		Severity:     severity(r, of),
		Source:       "Qualys",
		Summary:      text(of.Short.V.Text),
	}
	if out.ID == "" {
		out.ID = "QID-" + cmp.Or(qid, text(r.RuleID))
	}
	if p, ok := f.urls[out.Package+"\x00"+out.Version]; ok {
		out.PURL = p.PURL
	} else {
		out.PURL = "pkg:generic/" + urlText(out.Package) + "@" + urlText(out.Version)
	}
	if len(r.Locations) > 0 {
		out.Path = document.Path(string(r.Locations[0].Physical.V.Artifact.V.URI))
	}
	return out
}

// put keeps the more severe of two detections of the same vulnerability in the same package.
func (f *findings) put(x engine.Finding) {
	key := [2]string{x.ID, engine.Unqualified(x.PURL)}
	if have, ok := f.byID[key]; ok && have.Severity.Rank() >= x.Severity.Rank() {
		return
	}
	f.byID[key] = x
}

// sorted returns the findings, the most severe first. It is never nil: a report without findings is a report.
func (f *findings) sorted() []engine.Finding {
	list := make([]engine.Finding, 0, len(f.byID))
	for _, x := range f.byID {
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b engine.Finding) int {
		return cmp.Or(cmp.Compare(b.Severity.Rank(), a.Severity.Rank()), cmp.Compare(a.ID, b.ID), cmp.Compare(a.PURL, b.PURL))
	})
	return list
}

var cveID = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,10}$`)

func cves(of rule) (ids []string) {
	for _, id := range of.Properties.V.CVEs[:min(len(of.Properties.V.CVEs), maxIDs)] {
		if name := strings.ToUpper(string(id)); cveID.MatchString(name) && !slices.Contains(ids, name) {
			ids = append(ids, name)
		}
	}
	return ids
}

var words = map[string]engine.Severity{
	"critical": engine.SeverityCritical, "high": engine.SeverityHigh, "medium": engine.SeverityMedium, "low": engine.SeverityLow,
}

// severity is the customer's, else Qualys' own (5 is critical), else the score's, else a tag's, else the level's.
func severity(r sarifResult, of rule) engine.Severity {
	p := of.Properties.V
	for _, text := range []document.Text{p.CustomerSeverity, p.Severity} {
		switch n, _ := text.Number(); n {
		case 5:
			return engine.SeverityCritical
		case 4:
			return engine.SeverityHigh
		case 3:
			return engine.SeverityMedium
		case 1, 2:
			return engine.SeverityLow
		}
	}
	if score, ok := p.Score.Number(); ok {
		switch {
		case score >= 9:
			return engine.SeverityCritical
		case score >= 7:
			return engine.SeverityHigh
		case score >= 4:
			return engine.SeverityMedium
		case score > 0:
			return engine.SeverityLow
		}
	}
	for _, tag := range p.Tags {
		if s, ok := words[strings.ToLower(string(tag))]; ok {
			return s
		}
	}
	switch cmp.Or(r.Level, of.Config.V.Level) {
	case "error":
		return engine.SeverityHigh
	case "warning":
		return engine.SeverityMedium
	case "note":
		return engine.SeverityLow
	}
	return engine.SeverityUnknown
}

// digits returns text if it is a number of up to ten digits, such as a QID.
func digits(text string) string {
	if len(text) == 0 || len(text) > 10 || strings.Trim(text, "0123456789") != "" {
		return ""
	}
	return text
}

// urlText percent-encodes what a package URL cannot hold.
func urlText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
