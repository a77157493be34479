package osvdb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/osv-scalibr/semantic"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

func TestAListReadsAsItWasWritten(t *testing.T) {
	l := &list{key{"PyPI", "x"}, []entry{
		{ID: "GHSA-1"},
		{
			ID: "PYSEC-1", CVEs: []string{"CVE-0000-1", "CVE-0000-2"}, GHSA: "GHSA-1", Summary: "what it is",
			Rating:  rating{engine.SeverityHigh, 8.7, highV4, "CVSS 4.0"},
			Ratings: map[string]rating{"CVE-0000-2": {engine.SeverityLow, 1.8, lowV30, "CVSS 3.0"}},
			Ranges: [][]event{
				{{Introduced: "0"}, {Fixed: "1.2"}, {Introduced: "2.0"}, {LastAffected: "2.4"}},
				{{Introduced: "3.0"}},
			},
			Versions: []string{"1.2", "6.6.6"},
		},
	}}
	head, details := l.encode()
	read, k := newListing(string(head), details)
	if k != l.key {
		t.Errorf("key %v", k)
	}
	got, err := read.whole()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l.entries, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestADamagedDatabaseIsAnErrorOrAnotherTextAndNeverAPanic(t *testing.T) {
	from, file := t.TempDir(), filepath.Join(t.TempDir(), "osv.db")
	write(t, from,
		advisory("PYSEC-1").aliases("CVE-0000-1", "GHSA-1").cvss("CVSS_V3", criticalV3).affects("PyPI", "x", "introduced 0", "fixed 2.0", "introduced 3.0", "last_affected 3.1"),
		advisory("GHSA-2").affected(rec{"package": rec{"ecosystem": "PyPI", "name": "x"}, "versions": []string{"1.0", "1.1"}}))
	if _, err := Build(context.Background(), file, Source{From: from, Now: built}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	broken := 0
	for at := headerSize; at < len(whole); at++ {
		for _, value := range []byte{0, 0x7f, 0xff, whole[at] + 1} {
			data := append([]byte(nil), whole...)
			data[at] = value
			if err := os.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
			db, err := Open(file)
			if err != nil {
				broken++
				continue
			}
			if _, err := db.Match(context.Background(), engine.OS{}, []engine.Package{pkg("PyPI", "x", "1.0")}); err != nil {
				if !errors.Is(err, ErrFormat) {
					t.Fatalf("byte %d: %v", at, err)
				}
				broken++
			}
			db.Close() //nolint:errcheck // opened for reading
		}
	}
	if broken == 0 {
		t.Error("no damage was noticed")
	}
}

func TestNumbersAreComparedAsEveryEcosystemDoes(t *testing.T) {
	ecosystems := []string{"AlmaLinux", "Alpine", "Bioconductor", "CRAN", "Chainguard", "Debian", "GHC", "Go", "Hackage", "Hex", "Julia", "Maven",
		"NuGet", "Packagist", "Pub", "PyPI", "Red Hat", "Rocky Linux", "RubyGems", "SUSE", "SwiftURL", "Ubuntu", "Wolfi", "crates.io", "npm", "openSUSE"}
	random := rand.New(rand.NewPCG(1, 2))
	number := func() string {
		var parts []string
		for range 1 + random.IntN(5) {
			parts = append(parts, fmt.Sprint(random.IntN([]int{2, 3, 12, 20261121}[random.IntN(4)])))
		}
		return strings.Join(parts, ".")
	}
	decided := 0
	for range 5000 {
		a, b := number(), number()
		order := parseNumbers(a).compare(parseNumbers(b))
		if order == 0 {
			continue
		}
		decided++
		for _, e := range ecosystems {
			v, err := semantic.Parse(a, e)
			if err != nil {
				t.Fatal(e, a, err)
			}
			if want, err := v.CompareStr(b); err != nil || want != order {
				t.Fatalf("%s: %s against %s: %d %v, we say %d", e, a, b, want, err, order)
			}
		}
	}
	if decided < 2000 {
		t.Errorf("only %d of 5000 pairs were decided", decided)
	}
	for _, text := range []string{"", "1.", ".1", "1..2", "01.2", "1.2a", "v1", "1:2", "1-2", "1.2.3.", "1234567890", "１"} {
		if n := parseNumbers(text); n.known != 0 {
			t.Errorf("%q: %+v", text, n)
		}
	}
}

// TestRangesAreEvaluatedAsTheSchemaSays compares with the words of the specification: the events sorted, the last one at or
// before the version decides.
func TestRangesAreEvaluatedAsTheSchemaSays(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var events []event
		starts, fixes, lasts := map[int]bool{}, map[int]bool{}, map[int]bool{}
		for range 1 + random.IntN(5) {
			at := random.IntN(8)
			switch random.IntN(3) {
			case 0:
				events, starts[at] = append(events, eventOf(introduced, at)), true
			case 1:
				events, fixes[at] = append(events, eventOf(fixed, at)), true
			case 2:
				events, lasts[at] = append(events, eventOf(lastAffected, at)), true
			}
		}
		l := &list{key{"Debian:12", "x"}, []entry{{ID: "A-1", Ranges: [][]event{events}}}}
		for v := range 9 {
			want := false
			for at := 0; at <= v; at++ {
				want = (want || starts[at]) && !fixes[at] && (!lasts[at] || at == v)
			}
			head, details := l.encode()
			read, _ := newListing(string(head), details)
			parsed, _ := parseVersion(fmt.Sprint(v), "Debian:12")
			var a assessment
			var it item
			a.against(parsed, read.versions)
			if !read.next(&it) {
				t.Fatal(read.err())
			}
			if got, _ := a.affected(&it); got != want {
				t.Fatalf("%d in %+v: %v, want %v", v, events, got, want)
			}
		}
	}
}

func eventOf(what, at int) event {
	if what == introduced && at == 0 {
		what = fromBeginning
	}
	return eventAt(fmt.Sprint(at), what)
}

func TestAVersionThatCannotBeComparedDoesNotMakeAnotherLookSafe(t *testing.T) {
	// An epoch that is no number is no version of Debian.
	tests := []struct {
		name     string
		events   []string
		affected bool
	}{
		{"introduced nobody knows when", []string{"introduced x:1", "fixed 3"}, true},
		{"fixed nobody knows when", []string{"introduced 0", "fixed x:1"}, true},
		{"last affected nobody knows when", []string{"introduced 0", "last_affected x:1"}, true},
		{"fixed, and again nobody knows when", []string{"introduced 0", "fixed x:1", "fixed 1"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := database(t, advisory("A-1").affects("Debian:12", "x", tt.events...))
			m := match(t, db, engine.OS{}, pkg("Debian:12", "x", "2"))
			if got := len(m.Findings) == 1; got != tt.affected || m.NotAssessed != 0 {
				t.Errorf("findings %v, not assessed %d", ids(m), m.NotAssessed)
			}
		})
	}
}

func TestMoreFindingsThanAnyImageHasAreRefused(t *testing.T) {
	var cves []string
	for i := range 1000 {
		cves = append(cves, fmt.Sprintf("CVE-0000-%d", i))
	}
	db := database(t, advisory("DSA-1").upstream(cves...).affects("Debian:12", "x", "introduced 0"))
	var packages []engine.Package
	for i := range MaxFindings / 1000 {
		packages = append(packages, pkg("Debian:12", "x", fmt.Sprint(i)))
	}
	if m := match(t, db, engine.OS{}, packages...); len(m.Findings) != MaxFindings {
		t.Errorf("%d findings", len(m.Findings))
	}
	_, err := db.Match(context.Background(), engine.OS{}, append(packages, pkg("Debian:12", "x", "one more")))
	if err == nil || !strings.Contains(err.Error(), "more than 100000 vulnerabilities") {
		t.Errorf("err = %v", err)
	}
}
