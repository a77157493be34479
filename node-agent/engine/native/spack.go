package native

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/purl"
)

// spackSpec lists packages installed by spack, each from the spec in its own prefix. scalibr's extractor lists every node of
// every spec, and with them the compilers and build tools a package was once built with, which an image need not hold.
var spackSpec = ours{name: "os/spack", wants: isSpackSpec, read: readSpack}

func isSpackSpec(name string) bool { return strings.HasSuffix(name, "/.spack/spec.json") }

// readSpack returns the spec's first node: spack writes the package itself before its dependencies (Spec.to_node_dict,
// lib/spack/spack/spec.py).
func readSpack(_ context.Context, input *filesystem.ScanInput) ([]*extractor.Package, error) {
	var spec struct {
		Spec struct {
			Nodes []struct {
				Name    string `json:"name"`
				Version string `json:"version"`
			} `json:"nodes"`
		} `json:"spec"`
	}
	if err := json.NewDecoder(input.Reader).Decode(&spec); err != nil {
		return nil, err
	}
	if len(spec.Spec.Nodes) == 0 || spec.Spec.Nodes[0].Name == "" || spec.Spec.Nodes[0].Version == "" {
		return nil, errors.New("the spec names no package and version")
	}
	root := spec.Spec.Nodes[0]
	return []*extractor.Package{{
		Name: root.Name, Version: root.Version, PURLType: purl.TypeSpack, Location: extractor.LocationFromPath(input.Path),
	}}, nil
}
