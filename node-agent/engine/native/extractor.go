package native

import (
	"context"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/inventory"
	"github.com/google/osv-scalibr/plugin"
)

// ours is an extractor of our own: a name, which files it wants, and how it reads one.
type ours struct {
	name  string
	wants func(path string) bool
	read  func(ctx context.Context, input *filesystem.ScanInput) ([]*extractor.Package, error)
}

// make lets an extractor of ours stand in a list with scalibr's.
func (o ours) make(*cpb.PluginConfig) (filesystem.Extractor, error) { return o, nil }

func (o ours) Name() string                             { return o.name }
func (o ours) Version() int                             { return 0 }
func (o ours) Requirements() *plugin.Capabilities       { return &plugin.Capabilities{} }
func (o ours) FileRequired(api filesystem.FileAPI) bool { return o.wants(api.Path()) }

func (o ours) Extract(ctx context.Context, input *filesystem.ScanInput) (inventory.Inventory, error) {
	packages, err := o.read(ctx, input)
	return inventory.Inventory{Packages: packages}, err
}

// anyFile accepts every file; the rule narrows it.
func anyFile(string) bool { return true }
