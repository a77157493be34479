package native

import (
	"fmt"
	"path"
	"strings"

	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/cpp/conanlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/packagesconfig"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/packageslockjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/golang/gomod"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/gradlelockfile"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/gradleverificationmetadataxml"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/pomxml"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagelockjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/pnpmlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/yarnlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/julia/manifesttoml"
	"github.com/google/osv-scalibr/extractor/filesystem/language/php/composerlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/pdmlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/pipfilelock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/poetrylock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/requirements"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/uvlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/r/renvlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/ruby/gemfilelock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/rust/cargolock"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// lockFiles is what a repository without any is told.
const lockFiles = "package-lock.json, yarn.lock, pnpm-lock.yaml, go.mod, requirements.txt, poetry.lock, Pipfile.lock, uv.lock, pdm.lock, " +
	"Cargo.lock, pom.xml, gradle.lockfile, composer.lock, Gemfile.lock, packages.lock.json, packages.config, conan.lock, renv.lock, Manifest.toml"

// newRepositoryRules returns the extractors for source code: what it depends on is in its lock files. Installed packages are
// not looked for: a checkout has none, and what a developer has installed beside it is nobody's dependency.
func newRepositoryRules() ([]rule, error) {
	return rulesOf([]spec{
		{packagelockjson.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{yarnlock.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{pnpmlock.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{gomod.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{requirements.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{poetrylock.New, rule{maxFile: maxText, accept: ofTheRepository, check: checkTOML}},
		{pipfilelock.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{uvlock.New, rule{maxFile: maxText, accept: ofTheRepository, check: checkTOML}},
		{pdmlock.New, rule{maxFile: maxText, accept: ofTheRepository, check: checkTOML}},
		{cargolock.New, rule{maxFile: maxText, accept: ofTheRepository, check: checkTOML}},
		{pomxml.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{gradlelockfile.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{gradleverificationmetadataxml.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{composerlock.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{gemfilelock.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{packageslockjson.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{packagesconfig.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{conanlock.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{renvlock.New, rule{maxFile: maxText, accept: ofTheRepository}},
		{manifesttoml.New, rule{maxFile: maxText, accept: ofTheRepository, check: checkTOML}},
	})
}

// foreign are directories of a checkout with the lock files of others: an installed module ships its own, which says what
// its author developed it with.
var foreign = map[string]bool{".git": true, "node_modules": true}

func ofTheRepository(api filesystem.FileAPI) bool {
	for dir := range strings.SplitSeq(path.Dir(api.Path()), "/") {
		if foreign[dir] {
			return false
		}
	}
	return true
}

// empty says that nothing was found that could be assessed.
func (s *scan) empty(t engine.Target) string {
	name, seen := engine.Text(t.DisplayName, 256), s.visited.Load()
	if t.Repository {
		return fmt.Sprintf("%s has no lock file with a package in it among %d files; these are read: %s", name, seen, lockFiles)
	}
	return fmt.Sprintf("%s has no os-release file and no package of any kind among %d files: it is empty, its data lies in a part that was not read, or it is no root file system",
		name, seen)
}
