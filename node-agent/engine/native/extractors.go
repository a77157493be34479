package native

import (
	"io/fs"
	"math"
	"path"
	"strings"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/depsjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/packagesconfig"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/packageslockjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/golang/gobinary"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/archive"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagejson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/julia/manifesttoml"
	"github.com/google/osv-scalibr/extractor/filesystem/language/php/composerlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/wheelegg"
	"github.com/google/osv-scalibr/extractor/filesystem/language/ruby/gemspec"
	"github.com/google/osv-scalibr/extractor/filesystem/language/rust/cargolock"
	"github.com/google/osv-scalibr/extractor/filesystem/os/apk"
	"github.com/google/osv-scalibr/extractor/filesystem/os/dpkg"
	"github.com/google/osv-scalibr/extractor/filesystem/os/pacman"
	"github.com/google/osv-scalibr/extractor/filesystem/os/portage"
)

const (
	mib = 1 << 20
	gib = 1 << 30

	// maxText bounds files that are parsed in memory. A parsed JSON value takes up to ten times its text, and the largest
	// such file met in an image, a deps.json of a large application, has 3 MiB.
	maxText = 16 * mib
	// maxStatus bounds package databases that are read as a stream. The status file of a machine with all of Debian's
	// 65,000 packages has about 60 MiB.
	maxStatus = 128 * mib
	// maxArchive bounds archives; also, all that is unpacked from one archive into memory.
	maxArchive = 512 * mib
	// maxBinary bounds executables, of which only headers and one section are read. The largest library of a scientific
	// image (CUDA's) has under 2 GiB.
	maxBinary = 8 * gib
)

// newRules returns the engine's extractors. They are named one by one: scalibr's lists of plugins bring 1,600 further
// packages into the binary, and its list for artifacts leaves out gemspec, deps.json, packages.config, packages.lock.json,
// Cargo.lock and composer.
func newRules() ([]rule, error) {
	return rulesOf([]spec{
		{dpkg.New, rule{maxFile: maxStatus}},
		{rpm.make, rule{maxFile: gib}},
		{apk.New, rule{maxFile: maxStatus}},
		{pacman.New, rule{maxFile: maxText}},
		{portage.New, rule{maxFile: maxText}},
		{spackSpec.make, rule{maxFile: maxText}},

		{wheelegg.New, rule{maxFile: maxArchive, check: checkPython}},
		{conda.make, rule{maxFile: maxText}},
		{packagejson.New, rule{maxFile: maxText, accept: inNodeModules}},
		{depsjson.New, rule{maxFile: maxText}},
		{packagesconfig.New, rule{maxFile: maxText}},
		{packageslockjson.New, rule{maxFile: maxText}},
		{archive.New, rule{maxFile: maxArchive, check: checkJava}},
		{gobinary.New, rule{maxFile: maxBinary, accept: maybeBinary}},
		{cargoAuditable.make, rule{maxFile: maxBinary, accept: maybeBinary}},
		{cargolock.New, rule{maxFile: maxText, check: checkTOML}},
		{gemspec.New, rule{maxFile: maxText, accept: inSpecifications}},
		{composerlock.New, rule{maxFile: maxText}},
		{composerInstalled.make, rule{maxFile: maxText}},
		{rDescription.make, rule{maxFile: mib}},
		{manifesttoml.New, rule{maxFile: maxText, check: checkTOML}},
	})
}

// spec is a rule whose extractor is still to be made.
type spec struct {
	new newExtractor
	rule
}

func rulesOf(specs []spec) ([]rule, error) {
	rules := make([]rule, 0, len(specs))
	for _, spec := range specs {
		x, err := spec.new(config())
		if err != nil {
			return nil, err
		}
		spec.Extractor = x
		rules = append(rules, spec.rule)
	}
	return rules, nil
}

// config is what scalibr's extractors are made with. Their own size limits skip a file silently, so they are lifted and the
// guard's hold. Archives are not hashed: that would read every byte of every JAR for a number nothing here uses.
func config() *cpb.PluginConfig {
	no := false
	return &cpb.PluginConfig{
		MaxFileSizeBytes: math.MaxInt64,
		PluginSpecific: []*cpb.PluginSpecificConfig{{
			Config: &cpb.PluginSpecificConfig_JavaArchive{JavaArchive: &cpb.JavaArchiveConfig{
				MaxFileSizeBytes: math.MaxInt64,
				MaxOpenedBytes:   maxArchive,
				HashJars:         &no,
			}},
		}},
	}
}

// inNodeModules accepts the package.json of an installed module: node_modules/name or node_modules/@scope/name. The others
// are an application's own, or samples and tests inside a module.
func inNodeModules(api filesystem.FileAPI) bool {
	dir, base := path.Split(api.Path())
	if base != "package.json" {
		return false
	}
	parent := path.Dir(path.Clean(dir))
	if strings.HasPrefix(path.Base(parent), "@") {
		parent = path.Dir(parent)
	}
	return path.Base(parent) == "node_modules"
}

// inSpecifications accepts the gemspec of an installed gem. The one among a gem's sources is a program that computes its
// version, and names the same gem.
func inSpecifications(api filesystem.FileAPI) bool {
	return strings.Contains("/"+path.Dir(api.Path())+"/", "/specifications/")
}

// textExtensions are extensions of executable files that hold no machine code. Opening each of the 60,000 scripts of a
// scientific Python stack for a look at its first bytes cost half the scan.
var textExtensions = map[string]bool{
	".bash": true, ".bat": true, ".c": true, ".cfg": true, ".cmake": true, ".conf": true, ".cpp": true, ".csh": true,
	".css": true, ".csv": true, ".f90": true, ".h": true, ".hpp": true, ".html": true, ".ini": true, ".ipynb": true,
	".jar": true, ".js": true, ".json": true, ".la": true, ".lua": true, ".m": true, ".md": true, ".pc": true,
	".php": true, ".pl": true, ".pm": true, ".png": true, ".ps1": true, ".py": true, ".pyc": true, ".r": true,
	".rb": true, ".rst": true, ".sh": true, ".svg": true, ".tcl": true, ".toml": true, ".ts": true, ".txt": true,
	".whl": true, ".xml": true, ".yaml": true, ".yml": true,
}

// maybeBinary accepts files that may be executables or shared libraries.
func maybeBinary(api filesystem.FileAPI) bool {
	name := path.Base(api.Path())
	ext := strings.ToLower(path.Ext(name))
	if textExtensions[ext] {
		return false
	}
	if ext == ".so" || ext == ".exe" || ext == ".dll" || strings.Contains(name, ".so.") {
		return true
	}
	info, err := api.Stat()
	return err == nil && info.Mode()&0o111 != 0 && info.Mode().Type() != fs.ModeDir && info.Size() > 0
}
