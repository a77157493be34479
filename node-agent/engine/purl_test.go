package engine

import "testing"

func TestPackageURLsAreCountedWithoutWhatDoesNotNameThePackage(t *testing.T) {
	for name, c := range map[string]struct{ purl, unqualified, unversioned string }{
		"architecture and distribution": {"pkg:deb/debian/libc6@2.36-9?arch=i386&distro=bookworm", "pkg:deb/debian/libc6@2.36-9", "pkg:deb/debian/libc6"},
		"a subpath":                     {"pkg:golang/example.com/m@v1.0.0#cmd/x", "pkg:golang/example.com/m@v1.0.0", "pkg:golang/example.com/m"},
		"no version":                    {"pkg:pypi/requests", "pkg:pypi/requests", "pkg:pypi/requests"},
		"a scope":                       {"pkg:npm/%40babel/core@7.1.0", "pkg:npm/%40babel/core@7.1.0", "pkg:npm/%40babel/core"},
		"a scope that is not encoded":   {"pkg:npm/@babel/core@7.1.0", "pkg:npm/@babel/core@7.1.0", "pkg:npm/@babel/core"},
		"an @ in a qualifier":           {"pkg:npm/a?vcs=git@example.org/a", "pkg:npm/a", "pkg:npm/a"},
		"nothing":                       {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Unqualified(c.purl); got != c.unqualified {
				t.Errorf("Unqualified = %q, want %q", got, c.unqualified)
			}
			if got := Unversioned(c.purl); got != c.unversioned {
				t.Errorf("Unversioned = %q, want %q", got, c.unversioned)
			}
		})
	}
}

func TestAPackageForTwoArchitecturesIsOne(t *testing.T) {
	packages := []Package{{PURL: "pkg:deb/debian/libc6@2?arch=amd64"}, {PURL: "pkg:deb/debian/libc6@2?arch=i386"}, {PURL: "pkg:deb/debian/libc6@3?arch=i386"}}
	if n := Distinct(packages); n != 2 {
		t.Errorf("%d packages, want 2: two versions", n)
	}
}
