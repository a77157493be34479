package document

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/google/osv-scalibr/purl"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// Bounds of one package's description in bytes, those of the native engine.
const (
	maxName    = 256
	maxVersion = 256
	maxPURL    = 2048
	maxPath    = 1024
)

// Inventory is what an SBOM says.
type Inventory struct {
	// Packages are sorted by type, name, version and package URL, each URL once.
	Packages []engine.Package
	// Tool is the program that wrote the document, as it calls itself ("qscanner-4.8.0").
	Tool string
	// Skipped counts entries that could not be read or have no valid package URL and no place among packages.
	Skipped Skipped
}

var errNoPackage = errors.New("no package")

// SPDX reads the packages of an SPDX 2.x document in JSON. Its packages without a package URL, such as the image itself, are
// no packages of the image. The engine's name goes to FoundBy.
func SPDX(data []byte, foundBy string) (Inventory, error) {
	packages := newCollection(foundBy)
	skipped, err := Each(data, func(raw json.RawMessage) error {
		var p struct {
			Name    Text `json:"name"`
			Version Text `json:"versionInfo"`
			Refs    List[struct {
				Type    Text `json:"referenceType"`
				Locator Text `json:"referenceLocator"`
			}] `json:"externalRefs"`
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			return err
		}
		for _, ref := range p.Refs {
			if ref.Type == "purl" {
				return packages.add(string(p.Name), string(p.Version), string(ref.Locator))
			}
		}
		return nil
	}, "packages", "*")
	if err != nil {
		return Inventory{}, err
	}
	in := Inventory{Packages: packages.sorted(), Skipped: skipped}
	_, err = Each(data, func(raw json.RawMessage) error {
		var creator Text
		_ = json.Unmarshal(raw, &creator)
		if tool, ok := strings.CutPrefix(string(creator), "Tool: "); ok && in.Tool == "" {
			in.Tool = engine.Text(tool, maxName)
		}
		return nil
	}, "creationInfo", "creators", "*")
	return in, err
}

// CycloneDX reads the components of a CycloneDX document in JSON that have a package URL.
func CycloneDX(data []byte, foundBy string) (Inventory, error) {
	packages := newCollection(foundBy)
	skipped, err := Each(data, func(raw json.RawMessage) error {
		var c struct {
			Name    Text `json:"name"`
			Version Text `json:"version"`
			PURL    Text `json:"purl"`
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			return err
		}
		if c.PURL == "" {
			return nil
		}
		return packages.add(string(c.Name), string(c.Version), string(c.PURL))
	}, "components", "*")
	if err != nil {
		return Inventory{}, err
	}
	in := Inventory{Packages: packages.sorted(), Skipped: skipped}
	_, err = Each(data, func(raw json.RawMessage) error {
		var tool struct {
			Name    Text `json:"name"`
			Version Text `json:"version"`
		}
		if err := json.Unmarshal(raw, &tool); err == nil && in.Tool == "" && tool.Version != "" {
			in.Tool = engine.Text(string(tool.Name+"-"+tool.Version), maxName)
		}
		return nil
	}, "metadata", "tools", "components", "*")
	return in, err
}

// collection is packages by package URL.
type collection struct {
	foundBy string
	byPURL  map[string]engine.Package
	kept    engine.Kept
}

func newCollection(foundBy string) *collection {
	return &collection{foundBy: foundBy, byPURL: map[string]engine.Package{}}
}

// add adds a package. Name and version are those of the document, else those of the package URL.
func (c *collection) add(name, version, url string) error {
	p, err := Package(name, version, url)
	if err != nil {
		return err
	}
	p.FoundBy = []string{c.foundBy}
	if err := c.kept.Package(p); err != nil {
		return err
	}
	c.byPURL[p.PURL] = p
	return nil
}

func (c *collection) sorted() []engine.Package {
	return Sorted(slices.Collect(maps.Values(c.byPURL)))
}

// Sorted sorts packages as engine.Result wants them.
func Sorted(packages []engine.Package) []engine.Package {
	slices.SortFunc(packages, func(a, b engine.Package) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.PURL, b.PURL))
	})
	return packages
}

// Package makes a package of its package URL; name and version are taken from it where they are empty.
func Package(name, version, url string) (engine.Package, error) {
	if len(url) > maxPURL || len(name) > maxName || len(version) > maxVersion {
		return engine.Package{}, errNoPackage
	}
	parsed, err := purl.FromString(url)
	if err != nil {
		return engine.Package{}, err
	}
	text := engine.Text(url, maxPURL+1)
	if parsed.Name == "" || len(text) > maxPURL {
		return engine.Package{}, errNoPackage
	}
	return engine.Package{
		Name:      engine.Text(cmp.Or(name, parsed.Name), maxName),
		Version:   engine.Text(cmp.Or(version, parsed.Version), maxVersion),
		Type:      parsed.Type,
		PURL:      text,
		Locations: []string{},
	}, nil
}

// Path is a location of an image as it may be printed.
func Path(p string) string { return engine.Text(strings.TrimPrefix(p, "/"), maxPath) }
