package native

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"path"
	"strings"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/purl"
)

// composerInstalled lists the PHP packages composer has installed, from vendor/composer/installed.json; a composer.lock
// need not be in an image.
var composerInstalled = ours{name: "php/composerinstalled", wants: isComposerInstalled, read: readComposerInstalled}

func isComposerInstalled(name string) bool {
	return path.Base(name) == "installed.json" && path.Base(path.Dir(name)) == "composer"
}

type composerPackage struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	License []string `json:"license"`
}

// readComposerInstalled reads composer 2's object and composer 1's bare list.
func readComposerInstalled(_ context.Context, input *filesystem.ScanInput) ([]*extractor.Package, error) {
	text, err := io.ReadAll(input.Reader)
	if err != nil {
		return nil, err
	}
	var installed struct {
		Packages []composerPackage `json:"packages"`
	}
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '[' {
		err = json.Unmarshal(text, &installed.Packages)
	} else {
		err = json.Unmarshal(text, &installed)
	}
	if err != nil {
		return nil, err
	}
	var found []*extractor.Package
	for _, p := range installed.Packages {
		// Advisories of Packagist write 2.0.0; tags, and so this file, often v2.0.0.
		version := strings.TrimPrefix(p.Version, "v")
		if p.Name != "" && version != "" {
			found = append(found, &extractor.Package{
				Name: p.Name, Version: version, PURLType: purl.TypeComposer, Licenses: p.License,
				Location: extractor.LocationFromPath(input.Path),
			})
		}
	}
	return found, nil
}
