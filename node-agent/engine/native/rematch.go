package native

import (
	"context"
	"errors"
	"fmt"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// ErrStale is returned for an inventory that another version of the engine wrote, or for other scan types: the image may hold
// more than it tells.
var ErrStale = errors.New("the inventory is of another kind of scan")

var _ engine.Rematcher = (*Engine)(nil)

// Rematch implements engine.Rematcher.
func (e *Engine) Rematch(ctx context.Context, t engine.Target, inventory []byte) (*engine.Result, error) {
	known, err := readInventory(inventory, e.seen)
	if err != nil {
		return nil, fmt.Errorf("read the inventory: %w", err)
	}
	if err := known.answers(t); err != nil {
		return nil, err
	}
	result := &engine.Result{
		EngineVersion: Version, OS: known.OS, Warnings: known.Warnings, DroppedWarnings: known.DroppedWarnings,
	}
	if t.Scans(engine.ScanSecrets) {
		result.Secrets = append([]engine.Secret{}, known.Secrets...) // not nil: looked for
	}
	var unowned *insight
	if known.UnownedFiles != nil {
		unowned = &insight{report: *known.UnownedFiles}
	}
	if t.Scans(engine.ScanPackages) {
		result.Packages = known.Packages
		if err := e.match(ctx, result); err != nil {
			return nil, failed(ctx, t, err)
		}
	}
	texts := inventoryTexts{packages: known.packages}
	if texts.findings, err = findingsText(result); err != nil {
		return nil, failed(ctx, t, err)
	}
	result.Unchanged = known.unchanged(t, result, texts.findings)
	remake := func() ([]byte, error) { return makeInventory(t, result, unowned, texts) }
	if result.Documents, err = makeDocuments(t, result, remake); err != nil {
		return nil, failed(ctx, t, err)
	}
	return result, ctx.Err()
}

// unchanged are the documents at hand that would say the same. An SPDX document says nothing of a database; the others say what
// was found, and which database it was found with: as long as that is the same, they tell what the older one found.
func (d *known) unchanged(t engine.Target, r *engine.Result, findings []byte) (names []string) {
	if d.Target != nameOf(t) { // users know the volume by another path now
		return nil
	}
	same := string(findings) == d.findings && r.NotAssessed == d.NotAssessed && (r.Database != nil) == (d.database != "")
	for _, name := range t.AtHand {
		if same || name == engine.SPDXFile {
			names = append(names, name)
		}
	}
	return names
}

// answers says why the inventory is none that Scan made of the target with this engine.
func (d *known) answers(t engine.Target) error {
	switch {
	case d.Schema != inventorySchema || d.Engine != (engineName{Name, Version}):
		return fmt.Errorf("%w: %s of %s %s, not %s of %s %s", ErrStale, engine.Text(d.Schema, maxName),
			engine.Text(d.Engine.Name, maxName), engine.Text(d.Engine.Version, maxVersion), inventorySchema, Name, Version)
	case d.Architecture != t.Architecture:
		return fmt.Errorf("%w: the image was of another architecture", ErrStale)
	case !t.Scans(engine.ScanPackages) && len(d.Packages) > 0,
		!t.Scans(engine.ScanSecrets) && len(d.Secrets) > 0,
		(t.Scans(engine.ScanFileInsight) && !t.Repository) != (d.UnownedFiles != nil):
		return fmt.Errorf("%w: its scan types were others", ErrStale)
	case t.Scans(engine.ScanPackages) && len(d.Packages) == 0:
		return errors.New("the inventory lists no package: what is empty is looked at again")
	}
	return nil
}
