// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestSupersededNames(t *testing.T) {
	for _, tc := range []struct {
		name              string
		current, replaced string
		want              []string
	}{
		{"its own older artifacts", "sifscan-sr-a-3/10", "sifscan-sr-a-1,sifscan-sr-a-2", []string{"sifscan-sr-a-1", "sifscan-sr-a-2"}},
		{"not the one it refers to", "sifscan-sr-a-3/10", "sifscan-sr-a-3", nil},
		{"not another report's, though its name begins the same", "", "sifscan-sr-ab-1,sifscan-sr-a", nil},
		{"not just any ConfigMap", "", "kube-root-ca.crt,,sifscan-config, sifscan-sr-a-1", nil},
		{"no more than a bound", "", strings.Repeat("sifscan-sr-a-1,", 1000), slices.Repeat([]string{"sifscan-sr-a-1"}, maxSuperseded)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := supersededNames(makeReport("sr-a", v1alpha1.AnnotationArtifacts, tc.current, v1alpha1.AnnotationSuperseded, tc.replaced))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}
