package native

import (
	"context"
	"errors"
	"fmt"
	"io"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/inventory"
)

// rule is an extractor with the bounds it works within.
type rule struct {
	filesystem.Extractor
	// maxFile is the size in bytes of the largest file it is given.
	maxFile int64
	// accept, if set, narrows the files the extractor is given.
	accept func(filesystem.FileAPI) bool
	// check, if set, looks for what would make the extractor use memory or stack without bound.
	check func(path string, r io.ReaderAt, size int64) error
}

type newExtractor func(*cpb.PluginConfig) (filesystem.Extractor, error)

// guard runs a rule's extractor so that a hostile file costs at most that file: a panic, an error or a size beyond the rule
// becomes a warning that names the file.
type guard struct {
	rule
	scan *scan
}

// FileRequired tells whether the extractor is to read the file.
func (g *guard) FileRequired(api filesystem.FileAPI) (required bool) {
	defer func() {
		if r := recover(); r != nil {
			g.scan.warn(api.Path(), fmt.Sprintf("%s failed on it: %v", g.Name(), r))
			required = false
		}
	}()
	if g.accept != nil && !g.accept(api) || !g.Extractor.FileRequired(api) {
		return false
	}
	info, err := api.Stat()
	if err != nil {
		return false // noted by the file system
	}
	if info.Size() > g.maxFile {
		g.scan.warn(api.Path(), fmt.Sprintf("not read by %s: it has %d bytes, and the limit is %d", g.Name(), info.Size(), g.maxFile))
		return false
	}
	return true
}

// Extract runs the extractor. It returns no error: scalibr would only collect them all, without a bound.
func (g *guard) Extract(ctx context.Context, input *filesystem.ScanInput) (found inventory.Inventory, _ error) {
	defer func() {
		if r := recover(); r != nil {
			g.scan.warn(input.Path, fmt.Sprintf("%s failed on it: %v", g.Name(), r))
			found = inventory.Inventory{}
		}
	}()
	if g.check != nil {
		r, ok := input.Reader.(io.ReaderAt)
		if !ok {
			return inventory.Inventory{}, nil
		}
		if err := g.check(input.Path, r, input.Info.Size()); err != nil {
			g.scan.warn(input.Path, fmt.Sprintf("not read by %s: %v", g.Name(), err))
			return inventory.Inventory{}, nil
		}
	}
	found, err := g.Extractor.Extract(ctx, input)
	if err != nil && g.scan.ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		g.scan.warn(input.Path, fmt.Sprintf("%s: %v", g.Name(), err))
	}
	return inventory.Inventory{Packages: found.Packages[:g.scan.room(len(found.Packages))]}, nil
}
