package native

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/osv-scalibr/extractor"
	apkmeta "github.com/google/osv-scalibr/extractor/filesystem/os/apk/metadata"
	dpkgmeta "github.com/google/osv-scalibr/extractor/filesystem/os/dpkg/metadata"
	rpmmeta "github.com/google/osv-scalibr/extractor/filesystem/os/rpm/metadata"
	"github.com/google/osv-scalibr/purl"
	"github.com/ossf/osv-schema/bindings/go/osvconstants"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// Bounds of one package's description, in bytes and items.
const (
	maxName      = 256
	maxVersion   = 256
	maxPURL      = 2048
	maxLicense   = 256
	maxLicenses  = 16
	maxLocations = 16
	maxLocation  = 1024
)

// convert turns what the extractors found into the engine's packages: one for each package URL, sorted.
func (s *scan) convert(found []*extractor.Package) []engine.Package {
	byPURL := make(map[string]*engine.Package, len(found))
	var kept engine.Kept
	for _, x := range found {
		p, err := convertOne(x)
		if err != nil {
			s.warn(x.Location.PathOrEmpty(), err.Error())
			continue
		}
		if p == nil {
			continue
		}
		if have := byPURL[p.PURL]; have != nil {
			have.Locations = append(have.Locations, p.Locations...)
			have.FoundBy = append(have.FoundBy, p.FoundBy...)
			continue
		}
		if err := kept.Package(*p); err != nil {
			s.warn("", "packages of the image are not listed: "+err.Error())
			continue
		}
		byPURL[p.PURL] = p
	}
	packages := make([]engine.Package, 0, len(byPURL))
	for _, p := range byPURL {
		p.Locations = uniqueSorted(p.Locations, maxLocations)
		p.FoundBy = uniqueSorted(p.FoundBy, maxLocations)
		packages = append(packages, *p)
	}
	slices.SortFunc(packages, func(a, b engine.Package) int { return comparePackages(&a, &b) })
	return packages
}

// convertOne returns nil for what is no package: something without a name or without a package URL.
func convertOne(x *extractor.Package) (*engine.Package, error) {
	if len(x.Name) > maxName || len(x.Version) > maxVersion {
		return nil, fmt.Errorf("a package with a name of %d and a version of %d bytes is not listed", len(x.Name), len(x.Version))
	}
	url := x.PURL()
	if url == nil || x.Name == "" {
		return nil, nil
	}
	if url.Type == purl.TypeNPM {
		// scalibr adds where the package.json came from, "source=UNKNOWN". It is no part of the package's identity.
		url.Qualifiers = nil
	}
	if m, ok := x.Metadata.(*condaMetadata); ok {
		url.Qualifiers = condaQualifiers(m)
	}
	text := engine.Text(url.String(), maxPURL+1)
	if len(text) > maxPURL {
		return nil, fmt.Errorf("a package whose package URL is longer than %d bytes is not listed", maxPURL)
	}
	p := &engine.Package{
		Name:      engine.Text(x.Name, maxName),
		Version:   engine.Text(x.Version, maxVersion),
		Type:      url.Type,
		PURL:      text,
		Ecosystem: engine.Text(x.Ecosystem().String(), maxName),
		FoundBy:   x.Plugins,
	}
	if url.Type == typeBioconductor {
		p.Ecosystem = string(osvconstants.EcosystemBioconductor) // scalibr knows no package of it
	}
	describeSource(p, x.Metadata)
	for _, license := range x.Licenses[:min(len(x.Licenses), maxLicenses)] {
		if license != "" {
			p.Licenses = append(p.Licenses, engine.Text(license, maxLicense))
		}
	}
	p.Licenses = uniqueSorted(p.Licenses, maxLicenses)
	if location := x.Location.PathOrEmpty(); location != "" {
		p.Locations = []string{engine.Text(location, maxLocation)}
	}
	return p, nil
}

// describeSource adds what package databases say of a binary package's source.
func describeSource(p *engine.Package, metadata any) {
	name, version, arch := "", "", ""
	switch m := metadata.(type) {
	case *dpkgmeta.Metadata:
		name, version, arch = m.SourceName, m.SourceVersion, m.Architecture
	case *apkmeta.Metadata:
		name, arch = m.OriginName, m.Architecture
	case *rpmmeta.Metadata:
		// name-version-release.src.rpm: the name ends at the last but one hyphen.
		nvr := strings.TrimSuffix(strings.TrimSuffix(m.SourceRPM, ".rpm"), ".src")
		if i := strings.LastIndexByte(nvr, '-'); i > 0 {
			if j := strings.LastIndexByte(nvr[:i], '-'); j > 0 {
				name, version = nvr[:j], nvr[j+1:]
			}
		}
		arch = m.Architecture
		if m.Epoch != 0 {
			p.Epoch = strconv.Itoa(m.Epoch)
		}
	}
	if name != p.Name {
		p.SourceName = engine.Text(name, maxName)
	}
	if version != p.Version {
		p.SourceVersion = engine.Text(version, maxVersion)
	}
	p.Architecture = engine.Text(arch, 32)
}

func uniqueSorted(list []string, most int) []string {
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), most):min(len(list), most)]
}
