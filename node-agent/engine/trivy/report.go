package trivy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/document"
)

// maxReport bounds trivy's JSON, which is read in one pass and never held: it names every file that a package of the
// operating system installed, 60 bytes or so each.
const maxReport = 256 << 20

// Bounds of what one report gives. The largest images hold about 30,000 packages.
const (
	maxPackages = 100_000
	maxFindings = 100_000
	maxSecrets  = 1000
	maxText     = 256
)

// report is what trivy's JSON, schema version 2, says (aquasecurity/trivy, pkg/types/report.go).
type report struct {
	schema, version document.Text
	packages        map[string]engine.Package    // by package URL
	assessed        map[string]bool              // by unqualified package URL
	findings        map[[2]string]engine.Finding // by vulnerability and unqualified package URL
	secrets         []engine.Secret
	// text of packages and of findings
	keptPackages, keptFindings engine.Kept
	now                        result
	skipped                    document.Skipped
}

// result is what Results[] says of the lists it holds. Trivy writes it before them.
type result struct{ Target, Class, Type document.Text }

func readReport(path string) (*report, error) {
	r := &report{packages: map[string]engine.Package{}, assessed: map[string]bool{}, findings: map[[2]string]engine.Finding{}}
	var err error
	r.skipped, err = document.Stream(path, maxReport,
		document.Visit{Path: []string{"SchemaVersion"}, Do: into(&r.schema)},
		document.Visit{Path: []string{"Trivy", "Version"}, Do: into(&r.version)},
		document.Visit{Path: []string{"Results", "*"}, Begin: func() { r.now = result{} }},
		document.Visit{Path: []string{"Results", "*", "Target"}, Do: into(&r.now.Target)},
		document.Visit{Path: []string{"Results", "*", "Class"}, Do: into(&r.now.Class)},
		document.Visit{Path: []string{"Results", "*", "Type"}, Do: into(&r.now.Type)},
		document.Visit{Path: []string{"Results", "*", "Packages", "*"}, Do: decoded(r.addPackage)},
		document.Visit{Path: []string{"Results", "*", "Vulnerabilities", "*"}, Do: decoded(r.addFinding)},
		document.Visit{Path: []string{"Results", "*", "Secrets", "*"}, Do: decoded(r.addSecret)},
	)
	if err != nil {
		return nil, err
	}
	if r.schema != "2" {
		return nil, fmt.Errorf("its schema version is %q, and 2 is what can be read", engine.Text(string(r.schema), maxText))
	}
	return r, nil
}

func into(t *document.Text) func(json.RawMessage) error {
	return func(raw json.RawMessage) error { return json.Unmarshal(raw, t) }
}

// decoded decodes a value for add.
func decoded[T any](add func(T) error) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var x T
		if err := json.Unmarshal(raw, &x); err != nil {
			return err
		}
		return add(x)
	}
}

// result puts what was read into r. Without a database, trivy matched nothing.
func (r *report) result(out *engine.Result, database *engine.Database) {
	out.EngineVersion = cmp.Or(engine.Text(string(r.version), maxText), out.EngineVersion)
	out.Packages = document.Sorted(slices.Collect(maps.Values(r.packages)))
	out.Secrets = r.secrets
	slices.SortFunc(out.Secrets, func(a, b engine.Secret) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	if r.skipped > 0 {
		out.Warnings = append(out.Warnings, engine.Warning{Message: fmt.Sprintf("%d entries of trivy's report cannot be read", r.skipped)})
	}
	if database == nil {
		out.NotAssessed = len(r.assessed)
		return
	}
	out.Database, out.Findings = database, sorted(r.findings)
	for _, assessed := range r.assessed {
		if !assessed {
			out.NotAssessed++
		}
	}
}

type secret struct{ RuleID, StartLine document.Text }

// addSecret takes rule and place of a secret, and nothing of the secret.
func (r *report) addSecret(s secret) error {
	if len(r.secrets) >= maxSecrets {
		return fmt.Errorf("more than %d secrets", maxSecrets)
	}
	line, _ := s.StartLine.Number()
	r.secrets = append(r.secrets, engine.Secret{
		Rule: engine.Text(string(s.RuleID), 64), Path: document.Path(string(r.now.Target)), Line: int(min(max(line, 0), 1<<30)),
	})
	return nil
}

// readInventory reads the CycloneDX document of a run that matches nothing.
func readInventory(out *engine.Result, data []byte) error {
	in, err := document.CycloneDX(data, Name)
	if err != nil {
		return err
	}
	if in.Skipped > 0 {
		out.Warnings = append(out.Warnings, engine.Warning{Message: fmt.Sprintf("%d components of trivy's SBOM cannot be read", in.Skipped)})
	}
	if version, ok := strings.CutPrefix(in.Tool, Name+"-"); ok {
		out.EngineVersion = version
	}
	out.Packages, out.NotAssessed = in.Packages, engine.Distinct(in.Packages)
	return nil
}

// withoutSecrets is trivy's document without what it quotes of the files that hold secrets: the lines around them.
func withoutSecrets(data []byte) ([]byte, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, err
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
		return nil, err
	}
	if top["Results"], err = json.Marshal(results); err != nil {
		return nil, err
	}
	return json.Marshal(top)
}
