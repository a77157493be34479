package trivy

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	scalibrfs "github.com/google/osv-scalibr/fs"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/engine/trivy/trivytest"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// The differences are those that docs/executed-engines.md names.
func TestARealTrivyAndTheNativeEngineListTheSamePackages(t *testing.T) {
	differences := map[string]struct{ trivy, native []string }{
		"debian": {}, "alpine": {},
		"rocky": {
			trivy:  []string{"golang example.com/demo ", "golang example.com/greeting v1.2.3", "golang stdlib"},
			native: []string{"golang example.com/demo (devel)", "golang example.com/greeting 1.2.3", "golang go"},
		},
	}
	for name, add := range trivytest.Images {
		t.Run(name, func(t *testing.T) {
			tree := fixtures.NewTree(t.TempDir()).With(add)
			e, err := native.New()
			if err == nil {
				err = tree.Done()
			}
			if err != nil {
				t.Fatal(err)
			}
			own, err := e.Scan(context.Background(), engine.Target{Root: scalibrfs.DirFS(tree.Root), DisplayName: name})
			if err != nil {
				t.Fatal(err)
			}
			report, err := readReport(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			theirs := &engine.Result{}
			report.result(theirs, database)
			trivys, natives := listed(theirs), listed(own)
			if diff := cmp.Diff(differences[name].trivy, without(trivys, natives)); diff != "" {
				t.Errorf("what trivy alone lists (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(differences[name].native, without(natives, trivys)); diff != "" {
				t.Errorf("what the native engine alone lists (-want +got):\n%s", diff)
			}
		})
	}
}

func listed(r *engine.Result) (list []string) {
	for _, p := range r.Packages {
		line := p.Type + " " + p.Name
		if p.Name != "go" && p.Name != "stdlib" { // of whatever version the program was compiled with
			line += " " + p.Version
		}
		list = append(list, line)
	}
	slices.Sort(list)
	return list
}

func without(list, other []string) (rest []string) {
	for _, x := range list {
		if !slices.Contains(other, x) {
			rest = append(rest, x)
		}
	}
	return rest
}
