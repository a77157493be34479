package engine

import (
	"strings"
	"testing"
)

func TestTextIsKeptUpToItsBound(t *testing.T) {
	var k Kept
	long := strings.Repeat("x", maxKept/2)
	if err := k.Take(long, "a"); err != nil {
		t.Fatal(err)
	}
	if err := k.Package(Package{Name: "n", Licenses: []string{long}}); err == nil {
		t.Error("a package beyond the bound is taken")
	}
	if err := k.Finding(Finding{ID: "i", IDs: IDs{Advisories: []string{long}}}); err == nil {
		t.Error("a finding beyond the bound is taken")
	}
	if err := k.Package(Package{Name: "n", PURL: "pkg:pypi/n", Locations: []string{"a"}}); err != nil {
		t.Errorf("there is room for a small one: %v", err)
	}
}
