package native

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

func TestAPackageThatWasReadBeforeIsTheSameAndHasItsPlace(t *testing.T) {
	seen := &packageTexts{}
	const a, b = `{"name":"a","version":"1","type":"deb","purl":"pkg:deb/a@1","locations":["status"],"foundBy":["dpkg"]}`,
		`{"name":"b","version":"1","type":"deb","purl":"pkg:deb/b@1","locations":["status"],"foundBy":["dpkg"]}`
	read := func(packages ...string) (*known, error) {
		return readInventory([]byte(`{"packages":[`+strings.Join(packages, ",")+`]}`), seen)
	}
	first, err := read(a, b)
	if err != nil || len(first.Packages) != 2 || len(seen.packages) != 2 {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := read(a, b)
	if diff := cmp.Diff(first.Packages, again.Packages); err != nil || diff != "" {
		t.Errorf("%v (-first +again):\n%s", err, diff)
	}
	for _, wrong := range [][]string{{b, a}, {a, a}} {
		if _, err := read(wrong...); err == nil || !strings.Contains(err.Error(), "not in order") {
			t.Errorf("%v: %v", wrong, err)
		}
	}
}

func TestPackagesThatAreRememberedAreBoundedByTheirBytes(t *testing.T) {
	var seen packageTexts
	long := strings.Repeat("x", maxPackageTexts/16)
	for i := range 20 {
		text := fmt.Sprint(i, long)
		seen.remember(text, &engine.Package{Name: text})
		if p, known := seen.of(text); !known || p.Name != text || seen.size > maxPackageTexts || len(seen.packages) > 8 {
			t.Fatalf("after %d: %d bytes of %d packages, known: %v", i, seen.size, len(seen.packages), known)
		}
	}
	huge := strings.Repeat("y", maxPackageTexts)
	if seen.remember(huge, &engine.Package{}); len(seen.packages) == 0 || seen.size > maxPackageTexts {
		t.Error("a text above the bound took the place of the others")
	}
	if _, known := seen.of(huge); known {
		t.Error("a text above the bound is remembered")
	}
}
