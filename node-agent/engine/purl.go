package engine

import "strings"

// Unqualified is a package URL without qualifiers and subpath. Packages and findings are counted by it: where an image has a
// package for two architectures, or a document names the repository it came from, it is one package of one version.
func Unqualified(purl string) string {
	if i := strings.IndexAny(purl, "?#"); i >= 0 {
		return purl[:i]
	}
	return purl
}

// Unversioned is a package URL without version, qualifiers and subpath: what outlives an update of the package. A scope that
// somebody did not encode ("pkg:npm/@babel/core@7.1.0") is no version.
func Unversioned(purl string) string {
	purl = Unqualified(purl)
	name := strings.LastIndexByte(purl, '/') + 1
	if i := strings.IndexByte(purl[name:], '@'); i >= 0 {
		return purl[:name+i]
	}
	return purl
}

// Distinct counts packages, each unqualified package URL once.
func Distinct(packages []Package) int {
	seen := make(map[string]struct{}, len(packages))
	for i := range packages {
		seen[Unqualified(packages[i].PURL)] = struct{}{}
	}
	return len(seen)
}
