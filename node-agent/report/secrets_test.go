// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// listed has vulnerabilities, then secrets.
func listed(vulnerabilities, secrets int) *v1alpha1.Report {
	var found []engine.Finding
	for i := range vulnerabilities {
		found = append(found, engine.Finding{ID: fmt.Sprint("CVE-", i), Severity: engine.SeverityHigh})
	}
	places := make([]engine.Secret, secrets)
	for i := range places {
		places[i] = engine.Secret{Rule: "r", Path: fmt.Sprint(i)}
	}
	r := &v1alpha1.Report{}
	r.Findings, r.Truncated = Findings(found, engine.ScanPackages, metav1.Now())
	r.Findings = append(r.Findings, Secrets(places, metav1.Now())...)
	return r
}

func TestSecretsHaveRoomBesideVulnerabilities(t *testing.T) {
	for name, c := range map[string]struct{ vulnerabilities, secrets, keep, wantVulnerabilities, wantSecrets int }{
		"all fit":                        {10, 5, 20, 10, 5},
		"vulnerabilities leave room":     {3, 100, 20, 3, 17},
		"a quarter of many":              {100, 100, 20, 15, 5},
		"fewer than a quarter":           {100, 2, 20, 18, 2},
		"no secret":                      {100, 0, 20, 20, 0},
		"no vulnerability":               {0, 100, 20, 0, 20},
		"nothing is kept":                {5, 5, 0, 0, 0},
		"hardly anything is kept":        {5, 5, 3, 3, 0},
		"exactly as many as are allowed": {15, 5, 20, 15, 5},
	} {
		t.Run(name, func(t *testing.T) {
			r := listed(c.vulnerabilities, c.secrets)
			Keep(r, c.keep)
			secrets := 0
			for i, f := range r.Findings {
				if isSecret(f) {
					secrets++
				} else if secrets > 0 || !strings.HasPrefix(f.Key, fmt.Sprintf("CVE-%d ", i)) {
					t.Errorf("finding %d is %+v", i, f)
				}
			}
			if secrets != c.wantSecrets || len(r.Findings)-secrets != c.wantVulnerabilities || int(r.Truncated) != c.vulnerabilities+c.secrets-len(r.Findings) {
				t.Errorf("%d secrets of %d findings, %d truncated", secrets, len(r.Findings), r.Truncated)
			}
		})
	}
}

func TestASecretIsKnownByItsRuleAndPathWhereverItsLineMoves(t *testing.T) {
	at := func(line int) []string {
		return SecretKeys([]engine.Secret{{Rule: "a", Path: "p", Line: line}, {Rule: "a", Path: "p", Line: line + 7}, {Rule: "b", Path: "p", Line: line}, {Rule: "a", Path: "q"}})
	}
	if diff := cmp.Diff([]string{"secret/a p", "secret/a p #2", "secret/b p", "secret/a q"}, at(1)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(at(1), at(100)); diff != "" {
		t.Error(diff)
	}
}

func TestASecretsSeverityIsNobodysInvention(t *testing.T) {
	r := &v1alpha1.Report{Findings: []v1alpha1.Finding{
		{Key: "secret/a p", DetectedBy: "secret", Severity: "critical"}, {Key: "CVE-1 p", DetectedBy: "pkg", Severity: "terrible"},
	}}
	Bound(r)
	if r.Findings[0].Severity != "" || r.Findings[1].Severity != "unknown" {
		t.Errorf("got %+v", r.Findings)
	}
}
