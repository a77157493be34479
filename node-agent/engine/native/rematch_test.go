package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
)

// toRematch is a target with something of everything that an inventory holds, and the engine.
func toRematch(t testing.TB) (*Engine, engine.Target) {
	t.Helper()
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return e, engine.Target{
		Root: imageToMatch(t).
			file("opt/broken.dist-info/METADATA", "no metadata\x00").
			file("etc/munge/munge.key", "\x00\x01\x02").
			fs(),
		DisplayName: "/shared/a.sif", Architecture: "amd64", CreatedAt: created,
		ScanTypes: []engine.ScanType{engine.ScanPackages, engine.ScanFileInsight, engine.ScanSecrets},
		Formats:   []engine.Format{engine.FormatJSON, engine.FormatSPDX, engine.FormatCycloneDX},
	}
}

func scanned(t testing.TB, e *Engine, target engine.Target) *engine.Result {
	t.Helper()
	result, err := e.Scan(context.Background(), target)
	if err != nil {
		t.Fatal(err)
	}
	result.BytesRead, result.FilesVisited = 0, 0 // of the image, which a rematch does not read
	return result
}

func TestAnInventoryMatchedAgainGivesWhatAScanOfTheImageGives(t *testing.T) {
	without, target := toRematch(t)
	with := without.WithDatabase(testDatabase(t))
	before, after := scanned(t, without, target), scanned(t, with, target)
	if len(after.Findings) == 0 || len(after.Secrets) == 0 {
		t.Fatalf("%d findings and %d secrets: nothing to compare", len(after.Findings), len(after.Secrets))
	}
	for name, c := range map[string]struct {
		engine *Engine
		from   *engine.Result
		want   *engine.Result
	}{
		"with a database that was not there":       {with, before, after},
		"without the database that was there":      {without, after, before},
		"with the same database":                   {with, after, after},
		"without a database, as it was scanned so": {without, before, before},
	} {
		t.Run(name, func(t *testing.T) {
			unopened := target
			unopened.Root = nil
			got, err := c.engine.Rematch(t.Context(), unopened, c.from.Documents[engine.InventoryFile])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-scan +rematch):\n%s", diff)
			}
		})
	}
}

func TestSecretsThatWereLookedForAndNotFoundStayLookedFor(t *testing.T) {
	e, target := toRematch(t)
	target.Root = imageToMatch(t).fs()
	got, err := e.Rematch(t.Context(), target, scanned(t, e, target).Documents[engine.InventoryFile])
	if err != nil || got.Secrets == nil {
		t.Errorf("secrets %v, %v", got.Secrets, err)
	}
}

func TestEveryChoiceOfScanTypesIsMatchedAgainAsItIsScanned(t *testing.T) {
	e, target := toRematch(t)
	e = e.WithDatabase(testDatabase(t))
	root := target.Root
	for _, types := range [][]engine.ScanType{
		nil, {engine.ScanPackages}, {engine.ScanFileInsight}, {engine.ScanSecrets}, {engine.ScanFileInsight, engine.ScanSecrets},
	} {
		target.Root, target.ScanTypes = root, types
		want := scanned(t, e, target)
		target.Root = nil
		got, err := e.Rematch(t.Context(), target, want.Documents[engine.InventoryFile])
		if err != nil {
			t.Errorf("%v: %v", types, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" || got.Assessed() != want.Assessed() {
			t.Errorf("%v (-scan +rematch):\n%s", types, diff)
		}
		target.ScanTypes = []engine.ScanType{engine.ScanPackages, engine.ScanFileInsight, engine.ScanSecrets}
		if _, err := e.Rematch(t.Context(), target, want.Documents[engine.InventoryFile]); err == nil {
			t.Errorf("an inventory of %v was taken for one of all scan types", types)
		}
	}
}

func TestWhatNoScanWritesIsRefusedAndNotMatched(t *testing.T) {
	e, target := toRematch(t)
	whole := scanned(t, e, target).Documents[engine.InventoryFile]
	if _, err := e.Rematch(t.Context(), target, whole); err != nil {
		t.Fatal(err)
	}
	change := func(old, new string) []byte {
		t.Helper()
		changed := strings.Replace(string(whole), old, new, 1)
		if changed == string(whole) {
			t.Fatalf("the inventory has no %s:\n%.2000s", old, whole)
		}
		return []byte(changed)
	}
	header := fmt.Sprintf(`{"schema":%q,"architecture":"amd64","engine":{"name":%q,"version":%q},"os":{},"packages":[`, inventorySchema, Name, Version)
	listed := func(n int) []byte {
		b := bytes.NewBufferString(header)
		for i := range n {
			fmt.Fprintf(b, `{"name":"n","version":"%07d","type":"pypi","purl":"pkg:pypi/n@%07d","locations":null,"foundBy":null},`, i, i)
		}
		return b.Bytes()
	}
	const unsound = "what no scan writes"
	for name, c := range map[string]struct {
		text []byte
		why  string
	}{
		"a member that there is not":              {change(`"schema"`, `"sequel": 1, "schema"`), "sequel"},
		"half a package that was not assessed":    {change(`"notAssessed": `, `"notAssessed": 0.5, "droppedWarnings": `), unsound},
		"a target that is none":                   {change(`"target": "/shared/a.sif"`, `"target": null`), unsound},
		"a member of a package that there is not": {change(`"purl"`, `"price": 1, "purl"`), "price"},
		"a list of packages, and another":         {change(`"packages"`, `"packages": [], "packages"`), "two members"},
		"something after its end":                 {append(slices.Clone(whole), '{', '}'), "follows its end"},
		"a cursor that moves":                     {change(`"name": "requests"`, `"name": "requests\u001b[2J"`), unsound},
		"a name without end":                      {change(`"name": "requests"`, `"name": "requests`+strings.Repeat("s", maxPURL)+`"`), unsound},
		"a package without a name":                {change(`"name": "requests"`, `"name": ""`), unsound},
		"a package without a URL":                 {change(`"purl": "pkg:pypi/requests`, `"purl": "", "architecture": "`), unsound},
		"a hundred locations":                     {change(`"locations": [`, `"locations": [`+strings.Repeat(`"a",`, 100)), unsound},
		"packages out of order":                   {change(`"type": "pypi"`, `"type": "aaaa"`), "not in order"},
		"more packages than any image has":        {listed(maxPackages + 1), "more than the 100000 items"},
		"a package that is null":                  {change(`"packages": [`, `"packages": [null,`), unsound},
		"an unowned file that is null":            {change(`"listed": null`, `"listed": [null]`), unsound},
		"a directory that is null":                {change(`"directories": [`, `"directories": [null,`), unsound},
		"fewer than no unowned files":             {change(`"files": `, `"files": -`), unsound},
		"a system that moves the cursor":          {change(`"family": "`, `"family": "\u009b`), unsound},
		"another architecture":                    {change(`"architecture": "amd64"`, `"architecture": "arm64"`), "another architecture"},
		"more bytes than are read":                {append(slices.Clone(whole), make([]byte, engine.MaxInventory)...), "bytes are more than"},
	} {
		if _, err := e.Rematch(t.Context(), target, c.text); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", name, err)
		}
	}
	nothing := target
	nothing.ScanTypes = nil
	if _, err := e.Rematch(t.Context(), nothing, []byte(header+"]}")); err == nil {
		t.Error("an inventory of nothing passes for a clean image")
	}
}

func TestAnInventoryThatIsNotThisEnginesIsRefused(t *testing.T) {
	e, target := toRematch(t)
	inventory := scanned(t, e, target).Documents[engine.InventoryFile]
	for name, c := range map[string]struct {
		text  []byte
		stale bool
	}{
		"another version":  {bytes.Replace(inventory, []byte(Version), []byte("osv-scalibr-0.0.1"), 1), true},
		"another document": {bytes.Replace(inventory, []byte(inventorySchema), []byte("sifscan.io/report/v1"), 1), true},
		"none":             {nil, false},
		"half of one":      {inventory[:len(inventory)/2], false},
	} {
		if _, err := e.Rematch(t.Context(), target, c.text); err == nil || errors.Is(err, ErrStale) != c.stale {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Go's own fuzzer comes to four inventories in 25 seconds: it copies the counters of all that the engine is made of each time.
func TestADamagedInventoryIsRefusedOrIsOneThatAScanCouldHaveMade(t *testing.T) {
	e, target := toRematch(t)
	whole := scanned(t, e, target).Documents[engine.InventoryFile]
	target.Root, target.Formats = nil, []engine.Format{engine.FormatJSON}
	chance := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 5000 {
		damaged := slices.Clone(whole)
		from := chance.IntN(len(damaged))
		switch to := min(len(damaged), from+1+chance.IntN(20)); chance.IntN(3) {
		case 0:
			damaged = slices.Delete(damaged, from, to)
		case 1:
			damaged = slices.Insert(damaged, from, damaged[from:to]...)
		default:
			damaged[from] = byte(chance.IntN(256))
		}
		r, err := e.Rematch(t.Context(), target, damaged)
		if err != nil {
			continue
		}
		accepted++
		if _, err := e.Rematch(t.Context(), target, r.Documents[engine.InventoryFile]); err != nil {
			t.Fatalf("%v\nof %s", err, damaged)
		}
	}
	if accepted == 0 {
		t.Error("nothing was damaged so that it is still one")
	}
}

// BenchmarkRematch matches the inventory of an image of 300 packages, of which a fifth has an advisory, and makes the new one.
func BenchmarkRematch(b *testing.B) {
	var status strings.Builder
	dir, file := b.TempDir(), filepath.Join(b.TempDir(), "osv.db")
	for i := range 300 {
		fmt.Fprintf(&status, "Package: package-%03d\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.%d-1\nSource: source-%03d (1.%d-1)\nDescription: one of many\n\n", i, i, i, i)
		record := fmt.Sprintf(`{"id":"TEST-%d","modified":"2026-10-01T00:00:00Z","summary":"a made-up flaw that lets a made-up attacker do what they do",
			"affected":[{"package":{"ecosystem":"Debian:12","name":"source-%03d"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`, i, i)
		if i%5 == 0 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".json")), []byte(record), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := osvdb.Build(b.Context(), file, osvdb.Source{From: dir, Now: created}); err != nil {
		b.Fatal(err)
	}
	db, err := osvdb.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // opened for reading
	e, target := toRematch(b)
	target.Root = debianTree().file("var/lib/dpkg/status", status.String()).fs()
	target.ScanTypes, target.Formats = target.ScanTypes[:2], target.Formats[:1]
	inventory := scanned(b, e, target).Documents[engine.InventoryFile]
	e, target.Root = e.WithDatabase(db), nil
	b.ReportAllocs()
	for b.Loop() {
		if r, err := e.Rematch(b.Context(), target, inventory); err != nil || len(r.Findings) != 60 {
			b.Fatal(err)
		}
	}
}

func TestDocumentsAtHandAreUnchangedWhereTheyWouldSayTheSame(t *testing.T) {
	without, target := toRematch(t)
	with := without.WithDatabase(testDatabase(t))
	matched, unmatched := scanned(t, with, target), scanned(t, without, target)
	target.Root = nil
	all := []string{engine.InventoryFile, engine.SPDXFile, engine.CycloneDXFile, engine.SARIFFile}
	for name, c := range map[string]struct {
		engine *Engine
		from   *engine.Result
		as     string
		atHand []string
		want   []string
	}{
		"the same was found":                     {with, matched, target.DisplayName, all, all},
		"nothing was matched, before and now":    {without, unmatched, target.DisplayName, all, all},
		"something else was found":               {with, unmatched, target.DisplayName, all, []string{engine.SPDXFile}},
		"nothing is matched any more":            {without, matched, target.DisplayName, all, []string{engine.SPDXFile}},
		"users know the image by another path":   {with, matched, "/elsewhere/a.sif", all, nil},
		"nothing is at hand":                     {with, matched, target.DisplayName, nil, nil},
		"all but the SPDX document are at hand":  {with, unmatched, target.DisplayName, all[2:], nil},
		"the same was found, and one is at hand": {with, matched, target.DisplayName, all[3:], all[3:]},
	} {
		target.DisplayName, target.AtHand = c.as, c.atHand
		got, err := c.engine.Rematch(t.Context(), target, c.from.Documents[engine.InventoryFile])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got.Unchanged); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, document := range []string{engine.InventoryFile, engine.SPDXFile, engine.CycloneDXFile} {
			if _, made := got.Documents[document]; made == slices.Contains(c.want, document) {
				t.Errorf("%s: made %s: %v", name, document, made)
			}
		}
		target.DisplayName = "/shared/a.sif"
	}
}

func TestAnInventoryIsTheDocumentAsEncodingJSONWritesIt(t *testing.T) {
	e, target := toRematch(t)
	for _, e := range []*Engine{e, e.WithDatabase(testDatabase(t))} {
		written := scanned(t, e, target).Documents[engine.InventoryFile]
		var d nativeDocument
		if err := json.Unmarshal(written, &d); err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", " ")
		if err := encoder.Encode(d); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), string(written)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
