// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sarif

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/jsonwriter"
	"github.com/sifscan/sifscan-operator/test/filled"
)

func TestEveryFieldIsWrittenAsEncodingJSONWritesIt(t *testing.T) {
	full := filled.Value[run]()
	for i := range full.Results {
		full.Results[i].Fingerprints = map[string]string{fingerprint: "a"}
	}
	for name, r := range map[string]run{
		"all fields": full,
		"none":       {Results: []result{{Fingerprints: map[string]string{fingerprint: ""}, Locations: []location{{}}}}, Tool: tool{driver{Rules: []rule{{Properties: ruleProperties{Tags: []string{}}}}}}},
	} {
		var w jsonwriter.Writer
		r.write(&w)
		got, err := w.Text()
		if err != nil {
			t.Fatal(err)
		}
		var want, compact bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(r); err != nil {
			t.Fatal(err)
		}
		if err := json.Compact(&compact, got); err != nil { // results stand one a line
			t.Fatalf("%v\n%s", err, got)
		}
		if diff := cmp.Diff(want.String(), compact.String()+"\n"); diff != "" {
			t.Errorf("%s (-encoding/json +written):\n%s", name, diff)
		}
	}
}
