package native

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
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
