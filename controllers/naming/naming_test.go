// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package naming

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestLabel(t *testing.T) {
	if got := Label("shared-images", 20); got != "shared-images" {
		t.Errorf("a label that fits became %s", got)
	}
	seen := map[string]string{}
	for _, name := range []string{"a.b", "a-b", "a", strings.Repeat("x", 40), strings.Repeat("x", 41), "x" + strings.Repeat("-", 20) + "y.z", "nightly.hpc.example"} {
		got := Label(name, 20)
		if len(got) > 20 || len(validation.IsDNS1123Label(got)) > 0 {
			t.Errorf("%s became %s, which is no label of 20 characters", name, got)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%s and %s are both %s", name, other, got)
		}
		seen[got] = name
	}
}
