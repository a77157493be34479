package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// ErrStale is returned for an inventory that another version of the engine wrote: the image may hold more by now than it tells.
var ErrStale = errors.New("the inventory is another version's")

// Rematch returns what Scan would of an image that has not changed since it was scanned for the same scan types: its
// packages are taken from the inventory of that scan (engine.InventoryFile) and matched with the engine's database. It reads
// nothing else: Root is not used, BytesRead and FilesVisited are 0. Whoever keeps inventories answers for their content, and
// for their size. Where Rematch fails, the image has to be scanned.
func (e *Engine) Rematch(ctx context.Context, t engine.Target, inventory []byte) (*engine.Result, error) {
	known, err := readInventory(inventory)
	if err != nil {
		return nil, err
	}
	result := &engine.Result{
		EngineVersion: Version, OS: known.OS, Packages: known.Packages,
		Warnings: known.Warnings, DroppedWarnings: known.DroppedWarnings,
	}
	if t.Scans(engine.ScanSecrets) {
		result.Secrets = append([]engine.Secret{}, known.Secrets...) // not nil: looked for
	}
	var unowned *insight
	if known.UnownedFiles != nil {
		unowned = &insight{report: *known.UnownedFiles}
	}
	if err := e.match(ctx, result); err != nil {
		return nil, failed(ctx, t, err)
	}
	if result.Documents, err = makeDocuments(t, result, unowned); err != nil {
		return nil, failed(ctx, t, err)
	}
	return result, ctx.Err()
}

func readInventory(text []byte) (*nativeDocument, error) {
	var known nativeDocument
	switch err := json.Unmarshal(text, &known); {
	case err != nil:
		return nil, fmt.Errorf("read the inventory: %w", err)
	case known.Schema != inventorySchema || known.Engine != (engineName{Name, Version}):
		return nil, fmt.Errorf("%w: %s of %s %s, not %s of %s %s", ErrStale, engine.Text(known.Schema, maxName),
			engine.Text(known.Engine.Name, maxName), engine.Text(known.Engine.Version, maxVersion), inventorySchema, Name, Version)
	case len(known.Packages) > maxPackages:
		return nil, fmt.Errorf("the inventory lists %d packages, and no image more than %d", len(known.Packages), maxPackages)
	}
	return &known, nil
}
