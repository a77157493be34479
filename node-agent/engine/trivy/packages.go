package trivy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/document"
)

type identifier = document.Object[struct {
	PURL document.Text
}]

// trivyPackage is Results[].Packages[] (aquasecurity/trivy, pkg/fanal/types/package.go).
type trivyPackage struct {
	Name, Version, Release, Arch    document.Text
	Epoch                           document.Text
	SrcName, SrcVersion, SrcRelease document.Text
	SrcEpoch                        document.Text
	Identifier                      identifier
	Licenses                        document.List[document.Text]
	FilePath                        document.Text
	Repository                      document.Object[struct {
		Class document.Text
	}]
}

func (r *report) addPackage(x trivyPackage) error {
	if len(r.packages) >= maxPackages {
		return fmt.Errorf("more than %d packages", maxPackages)
	}
	rpm := strings.HasPrefix(string(x.Identifier.V.PURL), "pkg:rpm/")
	p, err := document.Package(string(x.Name), version(x.Epoch, x.Version, x.Release, rpm), string(x.Identifier.V.PURL))
	if err != nil {
		return err
	}
	if rpm && x.Epoch != "0" {
		p.Epoch = engine.Text(string(x.Epoch), 32)
	}
	if name := engine.Text(string(x.SrcName), maxText); name != p.Name {
		p.SourceName = name
	}
	if source := engine.Text(version(x.SrcEpoch, x.SrcVersion, x.SrcRelease, rpm), maxText); source != p.Version {
		p.SourceVersion = source
	}
	p.Architecture = engine.Text(string(x.Arch), 32)
	for _, l := range x.Licenses[:min(len(x.Licenses), 16)] {
		p.Licenses = append(p.Licenses, engine.Text(string(l), maxText))
	}
	if file := r.now.file(x.FilePath); file != "" {
		p.Locations = []string{file}
	}
	p.FoundBy = []string{Name}
	if err := r.keptPackages.Package(p); err != nil {
		return err
	}
	if have, ok := r.packages[p.PURL]; ok {
		if len(have.Locations) < 16 {
			have.Locations = append(have.Locations, p.Locations...)
			slices.Sort(have.Locations)
			have.Locations = slices.Compact(have.Locations)
		}
		p = have
	}
	r.packages[p.PURL] = p
	name := engine.Unqualified(p.PURL)
	// Trivy lists packages of other vendors than the system's, and packages without a version, and matches neither.
	matched := r.now.matched() && x.Repository.V.Class != "third-party" && x.Version != ""
	r.assessed[name] = r.assessed[name] || matched
	return nil
}

// version puts together what trivy takes apart: Debian's and RPM's versions. An RPM's epoch is no part of engine.Package's.
func version(epoch, upstream, release document.Text, rpm bool) string {
	v := string(upstream)
	if release != "" {
		v += "-" + string(release)
	}
	if epoch != "" && epoch != "0" && v != "" && !rpm {
		v = string(epoch) + ":" + v
	}
	return v
}

// matchedTypes are the operating systems and kinds of language packages that trivy 0.74 matches with its database; of others
// it lists packages and says nothing (aquasecurity/trivy, pkg/detector/ospkg/detect.go, pkg/detector/library/driver.go).
var matchedTypes = map[document.Text][]document.Text{
	"os-pkgs": {
		"alma", "alpine", "amazon", "azurelinux", "bottlerocket", "cbl-mariner", "centos", "chainguard", "coreos", "debian", "echo",
		"minimos", "opensuse-leap", "opensuse-tumbleweed", "oracle", "photon", "redhat", "rocky", "slem", "sles", "ubuntu", "wolfi",
	},
	"lang-pkgs": {
		"bitnami", "bun", "bundler", "cargo", "cocoapods", "composer", "composer-vendor", "conan", "dotnet-core", "gemspec", "gobinary",
		"gomod", "gradle", "hex", "jar", "javascript", "julia", "kubernetes", "node-pkg", "npm", "nuget", "packages-props", "pip",
		"pipenv", "pnpm", "poetry", "pom", "pub", "pylock", "python-pkg", "rustbinary", "sbt", "swift", "uv", "yarn",
	},
}

// file is where a package was found: its own file, else the lock file or program that the result is about. Packages of the
// system have none.
func (r result) file(own document.Text) string {
	if own == "" && r.Class == "lang-pkgs" {
		own = r.Target
	}
	return document.Path(string(own))
}

func (r result) matched() bool { return slices.Contains(matchedTypes[r.Class], r.Type) }
