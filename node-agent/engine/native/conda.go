package native

import (
	"context"
	"encoding/json"
	"errors"
	"path"
	"regexp"
	"strings"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/purl"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// conda lists the packages of conda environments, base environments too, from the records in <prefix>/conda-meta. scalibr
// looks only below a directory "envs", and calls every conda package a Python one.
var conda = ours{name: "conda/meta", wants: isCondaRecord, read: readConda}

func isCondaRecord(name string) bool {
	dir, base := path.Split(name)
	return strings.HasSuffix(base, ".json") && path.Base(dir) == "conda-meta"
}

// condaMetadata is what a conda record says beyond a package's name.
type condaMetadata struct {
	build, subdir string
	// prefix is the environment's directory.
	prefix string
	// distributions are the metadata files of Python distributions the package installed, relative to the prefix.
	distributions []string
}

// IsProtoable makes it metadata of a scalibr package.
func (*condaMetadata) IsProtoable() {}

// pythonMetadata matches a file that makes a Python distribution known. The files of packages that fit every Python version
// are recorded from "site-packages" on.
var pythonMetadata = regexp.MustCompile(`(?:^|/)site-packages/[^/]+\.(?:dist-info/METADATA|egg-info/PKG-INFO|egg-info)$`)

func readConda(_ context.Context, input *filesystem.ScanInput) ([]*extractor.Package, error) {
	var record struct {
		Name    string   `json:"name"`
		Version string   `json:"version"`
		Build   string   `json:"build"`
		Subdir  string   `json:"subdir"`
		License string   `json:"license"`
		Files   []string `json:"files"`
	}
	if err := json.NewDecoder(input.Reader).Decode(&record); err != nil {
		return nil, err
	}
	if record.Name == "" || record.Version == "" {
		return nil, errors.New("the record has no name or no version")
	}
	metadata := &condaMetadata{build: record.Build, subdir: record.Subdir, prefix: path.Dir(path.Dir(input.Path))}
	for _, file := range record.Files {
		if pythonMetadata.MatchString(file) {
			metadata.distributions = append(metadata.distributions, file)
		}
	}
	p := &extractor.Package{
		Name: record.Name, Version: record.Version, PURLType: purl.TypeConda,
		Location: extractor.LocationFromPath(input.Path), Metadata: metadata,
	}
	if record.License != "" {
		p.Licenses = []string{record.License}
	}
	return []*extractor.Package{p}, nil
}

// withoutCondaTwins removes conda packages that are there a second time as the Python distribution they installed. The
// distribution stays: advisories speak of PyPI's names, none of conda's.
func withoutCondaTwins(found []*extractor.Package) []*extractor.Package {
	type place struct{ path, version string }
	byEnd := map[string][]place{} // last two parts of the path
	for _, p := range found {
		if location := p.Location.PathOrEmpty(); p.PURLType == purl.TypePyPi {
			end := lastTwo(location)
			byEnd[end] = append(byEnd[end], place{location, p.Version})
		}
	}
	isTwin := func(p *extractor.Package) bool {
		m, ok := p.Metadata.(*condaMetadata)
		if !ok {
			return false
		}
		for _, file := range m.distributions {
			for _, at := range byEnd[lastTwo(file)] {
				if at.version == p.Version && (m.prefix == "." || strings.HasPrefix(at.path, m.prefix+"/")) && strings.HasSuffix(at.path, "/"+strings.TrimPrefix(file, "/")) {
					return true
				}
			}
		}
		return false
	}
	kept := found[:0]
	for _, p := range found {
		if !isTwin(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

func lastTwo(name string) string { return path.Join(path.Base(path.Dir(name)), path.Base(name)) }

// condaQualifiers are those the package URL specification names for conda.
func condaQualifiers(m *condaMetadata) purl.Qualifiers {
	q := map[string]string{}
	if m.build != "" {
		q["build"] = engine.Text(m.build, maxVersion)
	}
	if m.subdir != "" {
		q["subdir"] = engine.Text(m.subdir, maxVersion)
	}
	return purl.QualifiersFromMap(q)
}
