// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestReportsOfOtherClaimsAreOnlyReadWhereTheyShareABudget(t *testing.T) {
	of := func(claim string) labels.Set { return labels.Set{v1alpha1.LabelClaim: claim} }
	claims := []Claim{{Name: "shared"}, {Name: "scratch"}}
	for name, c := range map[string]struct {
		options Options
		labels  labels.Set
		want    int // times
	}{
		"of its claim":                            {Options{Artifacts: v1alpha1.ArtifactsVolume, Claims: claims}, of("scratch"), 1},
		"of no claim":                             {Options{Artifacts: v1alpha1.ArtifactsVolume, Claims: claims}, nil, 1},
		"of another claim":                        {Options{Artifacts: v1alpha1.ArtifactsVolume, Claims: claims}, of("other"), 0},
		"of another claim, in the same budget":    {Options{Artifacts: v1alpha1.ArtifactsConfigMap, Claims: claims}, of("other"), 1},
		"of its claim, without documents":         {Options{Artifacts: v1alpha1.ArtifactsNone, Claims: claims}, of("shared"), 1},
		"of a claim, where only images are named": {Options{Artifacts: v1alpha1.ArtifactsNone}, of("other"), 0},
		"of no claim, where only images are":      {Options{Artifacts: v1alpha1.ArtifactsNone}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := 0
			for _, which := range c.options.concerned() {
				if which.Matches(c.labels) {
					got++
				}
			}
			if got != c.want {
				t.Errorf("it is read %d times", got)
			}
		})
	}
}
