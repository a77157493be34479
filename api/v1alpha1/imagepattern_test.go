// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"strings"
	"testing"
)

func TestPatternsOfImages(t *testing.T) {
	for _, c := range []struct {
		glob, path string
		want       bool
	}{
		{"*pytorch*", "/shared/pytorch-2.sif", true}, {"*.sif", "/a/b.sif", true}, {"pytorch", "/shared/pytorch", false}, {"/a/?.sif", "/a/b.sif", true},
		{"/a/[a-c].sif", "/a/b.sif", true}, {"/a/[!a-c].sif", "/a/b.sif", false}, {"*", "", true}, {"/a.sif", "/aXsif", false}, {"*(x)*", "/a(x)b", true},
		{`*\x1b*`, `/a\x1b`, true}, {"/a[[]1].sif", "/a[1].sif", true}, {"*\n", "/a\n", true},
		{"*/modèles/*", "/shared/modèles/a.sif", true}, {"/a/?.sif", "/a/è.sif", true}, {"/a/[è].sif", "/a/è.sif", true},
	} {
		p, err := ParseImagePattern(c.glob)
		if err != nil || p.MatchString(c.path) != c.want {
			t.Errorf("%q on %q: %v, %v", c.glob, c.path, !c.want, err)
		}
	}
	for bad, want := range map[string]string{
		"[": "close it", "[]": "close it", "a[b": "close it", "[z-a]": "a range such as a-z", "[!]": "one by one", strings.Repeat("x", 2000): "longer than 1024 bytes",
		"*\xff*": `such as \xff`,
	} {
		if _, err := ParseImagePattern(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", bad, err, want)
		}
	}
}
