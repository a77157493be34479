package native

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"hash/maphash"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/purl"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

const (
	// maxInsightFiles bounds the executables that are listed one by one; the others are in their directory's count.
	maxInsightFiles = 5000
	// maxInsightDirs bounds the directories.
	maxInsightDirs = 2000
	// insightDepth is how deep directories are told apart: opt/vendor/tool.
	insightDepth = 3
)

// insight is what the files are that no package owns: software somebody put there by hand, which no list of packages shows.
type insight struct {
	seed  maphash.Seed
	files map[uint64]struct{} // hashes of owned paths: a large image has 300,000, and their names would take 30 MiB
	dirs  map[string]bool     // directories all of whose files are owned

	report insightReport
	byDir  map[string]*insightDir
}

type insightReport struct {
	// Files, Bytes and Executables count the files no package owns.
	Files       int64          `json:"files"`
	Bytes       int64          `json:"bytes"`
	Executables int64          `json:"executables"`
	Directories []*insightDir  `json:"directories"`
	Listed      []*insightFile `json:"listed"`
	// Truncated tells that directories or listed files are not all there are.
	Truncated bool `json:"truncated,omitempty"`
}

type insightDir struct {
	Path        string `json:"path"`
	Files       int64  `json:"files"`
	Bytes       int64  `json:"bytes"`
	Executables int64  `json:"executables,omitempty"`
}

type insightFile struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	Mode  string `json:"mode"`
	// Kind is "elf", "script" or "other", by the file's first bytes.
	Kind string `json:"kind"`
}

// packageState are directories of package managers' own records, which no package lists.
var packageState = []string{
	"var/lib/dpkg", "var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm", "lib/apk/db", "usr/lib/apk/db", "var/lib/pacman", "var/db/pkg",
}

func newInsight() *insight {
	i := &insight{seed: maphash.MakeSeed(), files: map[uint64]struct{}{}, dirs: map[string]bool{}, byDir: map[string]*insightDir{}}
	for _, dir := range packageState {
		i.dirs[dir] = true
	}
	return i
}

// own notes that a package owns the file, by its absolute path or relative to the root.
func (i *insight) own(file string) {
	file = strings.TrimPrefix(file, "/")
	i.files[maphash.String(i.seed, file)] = struct{}{}
	// Distributions that merged /lib into /usr/lib still list files under the old name.
	if strings.HasPrefix(file, "lib") || strings.HasPrefix(file, "bin/") || strings.HasPrefix(file, "sbin/") {
		i.files[maphash.String(i.seed, "usr/"+file)] = struct{}{}
	}
}

func (i *insight) owned(file string) bool {
	_, ok := i.files[maphash.String(i.seed, file)]
	return ok
}

// ownLanguagePackage notes the files of a language package.
func (s *scan) ownLanguagePackage(p *extractor.Package) {
	place := p.Location.PathOrEmpty()
	s.insight.own(place)
	dir := path.Dir(place)
	switch p.PURLType {
	case purl.TypeNPM, purl.TypeCran, typeBioconductor:
		s.insight.dirs[dir] = true
	case purl.TypeSpack:
		s.insight.dirs[path.Dir(dir)] = true
	case purl.TypeGem:
		name := strings.TrimSuffix(path.Base(place), ".gemspec")
		s.insight.dirs[path.Join(path.Dir(dir), "gems", name)] = true
	case purl.TypePyPi:
		s.ownPython(dir)
	case purl.TypeConda:
		s.ownConda(p)
	}
}

// ownPython notes the files of a Python distribution whose metadata lie in dir: RECORD names them relative to dir's parent,
// installed-files.txt relative to dir.
func (s *scan) ownPython(dir string) {
	switch path.Ext(dir) {
	case ".dist-info", ".egg-info":
	case "":
		if path.Base(dir) == "EGG-INFO" {
			s.insight.dirs[path.Dir(dir)] = true
		}
		return
	}
	s.insight.dirs[dir] = true
	s.eachLine(dir+"/RECORD", func(line string) {
		name, _, _ := strings.Cut(line, ",")
		s.insight.own(path.Join(path.Dir(dir), strings.Trim(name, `"`)))
	})
	s.eachLine(dir+"/installed-files.txt", func(line string) { s.insight.own(path.Join(dir, line)) })
}

// ownConda notes the files of a conda package, from its record.
func (s *scan) ownConda(p *extractor.Package) {
	m, ok := p.Metadata.(*condaMetadata)
	if !ok {
		return
	}
	f, err := s.fs.Open(p.Location.PathOrEmpty())
	if err != nil {
		return
	}
	defer f.Close() //nolint:errcheck // opened for reading
	var record struct {
		Files []string `json:"files"`
	}
	if err := json.NewDecoder(io.LimitReader(f, maxText)).Decode(&record); err != nil {
		return // warned of when the package was read
	}
	for _, file := range record.Files {
		s.insight.own(path.Join(m.prefix, file))
	}
}

// walkUnowned visits the files no package owns.
func (s *scan) walkUnowned() error {
	i := s.insight
	err := fs.WalkDir(s.fs, ".", func(name string, d fs.DirEntry, err error) error {
		if s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		switch {
		case err != nil:
			return fs.SkipDir // noted by the file system
		case d.IsDir() && (i.dirs[name] || d.Name() == "__pycache__"): // Python writes the latter itself
			return fs.SkipDir
		case !d.Type().IsRegular() || i.owned(name):
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // counted by the walk for packages
		}
		s.addUnowned(name, info)
		return nil
	})
	if errors.Is(err, fs.SkipDir) {
		err = nil
	}
	for _, dir := range i.byDir {
		i.report.Directories = append(i.report.Directories, dir)
	}
	slices.SortFunc(i.report.Directories, func(a, b *insightDir) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(i.report.Listed, func(a, b *insightFile) int { return cmp.Compare(a.Path, b.Path) })
	return err
}

func (s *scan) addUnowned(name string, info fs.FileInfo) {
	report := &s.insight.report
	executable := info.Mode()&0o111 != 0
	report.Files++
	report.Bytes += info.Size()
	dir := s.insight.dirOf(name)
	if dir != nil {
		dir.Files++
		dir.Bytes += info.Size()
	}
	if !executable {
		return
	}
	report.Executables++
	if dir != nil {
		dir.Executables++
	}
	if len(report.Listed) >= maxInsightFiles {
		report.Truncated = true
		return
	}
	report.Listed = append(report.Listed, &insightFile{
		Path: engine.Text(name, maxLocation), Bytes: info.Size(), Mode: info.Mode().String(), Kind: s.kindOf(name),
	})
}

// dirOf returns the count of the directory a file belongs to, nil when there are too many directories.
func (i *insight) dirOf(name string) *insightDir {
	parts := strings.SplitN(path.Dir(name), "/", insightDepth+1)
	key := strings.Join(parts[:min(len(parts), insightDepth)], "/")
	dir := i.byDir[key]
	if dir == nil {
		if len(i.byDir) >= maxInsightDirs {
			i.report.Truncated = true
			return nil
		}
		dir = &insightDir{Path: engine.Text(key, maxLocation)}
		i.byDir[key] = dir
	}
	return dir
}

func (s *scan) kindOf(name string) string {
	f, err := s.fs.Open(name)
	if err != nil {
		return "other"
	}
	defer f.Close() //nolint:errcheck // opened for reading
	head, _ := bufio.NewReaderSize(f, 16).Peek(4)
	switch {
	case string(head) == "\x7fELF":
		return "elf"
	case strings.HasPrefix(string(head), "#!"):
		return "script"
	}
	return "other"
}
