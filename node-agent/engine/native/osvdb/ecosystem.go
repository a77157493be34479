package osvdb

import (
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// normalise returns the form of a package's name in which a record and an image agree.
func normalise(ecosystem, name string) string {
	switch ecosystem {
	case "PyPI":
		return pythonName(name)
	case "NuGet", "Packagist": // case means nothing there
		return strings.ToLower(name)
	}
	return name
}

// pythonName normalises by PEP 503: lower case, one hyphen for each run of hyphens, underscores and dots.
func pythonName(name string) string {
	b := make([]byte, 0, len(name))
	for _, c := range []byte(strings.ToLower(name)) {
		switch {
		case c != '-' && c != '_' && c != '.':
			b = append(b, c)
		case len(b) == 0 || b[len(b)-1] != '-':
			b = append(b, '-')
		}
	}
	return string(b)
}

// candidate is a name and version under which records may speak of a package.
type candidate struct{ ecosystem, name, version string }

// candidates adds to a list what to look for, for a package of an image with the operating system. The database's ecosystems are
// given because some distributions split theirs in ways an image does not tell: by product, by support contract.
func candidates(list []candidate, p *engine.Package, os engine.OS, known func(prefix string) []string) []candidate {
	base, release, _ := strings.Cut(p.Ecosystem, ":")
	source := candidate{ecosystem: p.Ecosystem, name: or(p.SourceName, p.Name), version: or(p.SourceVersion, p.Version)}
	binary := candidate{ecosystem: p.Ecosystem, name: p.Name, version: withEpoch(p)}
	switch base {
	case "Debian":
		return append(list, source)
	case "Ubuntu":
		// Releases with long support are named so: "Ubuntu:22.04:LTS". "Ubuntu:Pro:…" speaks of fixes under contract only.
		return in(list, []string{p.Ecosystem, p.Ecosystem + ":LTS"}, source)
	case "Alpine", "Wolfi", "Chainguard", "Alpaquita", "BellSoft Hardened Containers", "MinimOS":
		source.version = p.Version
		return append(list, source)
	case "Rocky Linux":
		major, _, _ := strings.Cut(os.Version, ".")
		return in(list, []string{base + ":" + major}, binary)
	case "Red Hat":
		// "Red Hat:enterprise_linux:9::baseos": which repository a package came from, the image does not tell.
		product, _, _ := strings.Cut(release, "::")
		if product == "" {
			return list
		}
		return in(list, known(base+":"+product+"::"), binary)
	case "SUSE":
		// "15.5" is written "Linux Enterprise Server 15 SP5" and in a dozen modules. Records name source packages.
		source.version = binary.version
		return in(list, suse(release, known), source)
	case "openSUSE":
		source.version = binary.version
		return append(list, source)
	case "Go":
		if p.Name == "go" {
			binary.name = "stdlib"
		}
		return append(list, binary)
	}
	binary.name = normalise(base, p.Name)
	return append(list, binary)
}

func in(list []candidate, ecosystems []string, c candidate) []candidate {
	for _, e := range ecosystems {
		c.ecosystem = e
		list = append(list, c)
	}
	return list
}

// suse returns the database's ecosystems of a release of SUSE Linux Enterprise.
func suse(release string, known func(string) []string) []string {
	major, minor, _ := strings.Cut(release, ".")
	name := " " + major
	if minor != "" && minor != "0" {
		name += " SP" + minor
	}
	var list []string
	for _, e := range known("SUSE:Linux Enterprise ") {
		if strings.HasSuffix(e, name) {
			list = append(list, e)
		}
	}
	return list
}

// withEpoch writes an RPM version as advisories do: "1:3.0.7-27.el9".
func withEpoch(p *engine.Package) string {
	if p.Epoch != "" {
		return p.Epoch + ":" + p.Version
	}
	return p.Version
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
