// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

const someRun = "v1-0123456789abcdef"

func TestJobName(t *testing.T) {
	for _, tc := range []struct{ name, scan, want string }{
		{"a short name is kept and reads well", "shared-images", "shared-images-0123456789abcdef"},
		{"a name that just fits is kept", strings.Repeat("a", 35), strings.Repeat("a", 35) + "-0123456789abcdef"},
		{"a name one longer is cut and hashed", strings.Repeat("a", 36), strings.Repeat("a", 24) + "-22c1d24bcd-0123456789abcdef"},
		{"a dot, which a host name cannot hold, is replaced and hashed", "hpc.images", "hpc-images-7d3dfc1b31-0123456789abcdef"},
		{"a cut that ends in a dash leaves no double dash", strings.Repeat("a", 23) + "-" + strings.Repeat("b", 30), strings.Repeat("a", 23) + "-9c5d23c72e-0123456789abcdef"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := JobName(tc.scan, someRun)
			if got != tc.want {
				t.Errorf("JobName(%q) = %q, want %q", tc.scan, got, tc.want)
			}
			// What kube-apiserver checks of an Indexed Job: its pods' host names.
			if errs := validation.IsDNS1123Label(got + "-0"); len(errs) > 0 {
				t.Errorf("%q is no host name: %v", got+"-0", errs)
			}
			if len(got) > maxJobName {
				t.Errorf("%q has %d characters, more than %d", got, len(got), maxJobName)
			}
		})
	}
}

func TestJobNamesOfDifferentScansDiffer(t *testing.T) {
	long := strings.Repeat("a", 60)
	seen := map[string]string{}
	for _, scan := range []string{"a.b", "a-b", long, long + "a", long + "b", strings.Repeat("a", 35)} {
		name := JobName(scan, someRun)
		if other, taken := seen[name]; taken {
			t.Errorf("%q and %q share the Job name %q", scan, other, name)
		}
		seen[name] = scan
	}
}

func TestInventoryNamesReadBack(t *testing.T) {
	job := JobName("shared", someRun)
	if w, c, ok := parseInventoryName(job, inventoryName(job, 3, 12)); w != 3 || c != 12 || !ok {
		t.Errorf("the name reads back as worker %d, chunk %d, %v", w, c, ok)
	}
	for _, name := range []string{
		"", job, job + "-w0", job + "-w0-", job + "-w-1-0", job + "-w0-0-0", job + "-w00-0", job + "-w0-01",
		job + "-w9999999999-0", "x" + job + "-w0-0", "other-w0-0",
	} {
		if _, _, ok := parseInventoryName(job, name); ok {
			t.Errorf("%q passes as an inventory of %q", name, job)
		}
	}
}
