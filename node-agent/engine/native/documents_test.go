package native

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/test/filled"
)

func TestFindingsAreWrittenAsEncodingJSONWritesThem(t *testing.T) {
	small := filled.Value[engine.Finding]()
	small.Score = 1e-9
	findings := []engine.Finding{filled.Value[engine.Finding](), {}, small, {IDs: engine.IDs{Advisories: []string{"A-1"}}}}
	got, err := findingsText(&engine.Result{Findings: findings})
	if err != nil {
		t.Fatal(err)
	}
	want, err := indented(findings)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-encoding/json +written):\n%s", diff)
	}
}
