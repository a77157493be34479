package native

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/purl"

	"github.com/sifscan/sifscan-operator/node-agent/engine/native/rpmdb"
)

// owned are the places of language packages that may belong to a package of the operating system: path to whether one does.
type owned map[string]bool

// withoutOwned removes language packages whose file a listed package of the operating system installed: they are the same
// software, which the distribution patches without changing the version upstream gave it.
func (s *scan) withoutOwned(found []*extractor.Package) []*extractor.Package {
	places, systems := owned{}, map[string]bool{}
	for _, p := range found {
		switch p.PURLType {
		case purl.TypeDebian, purl.TypeRPM, purl.TypeApk:
			systems[p.PURLType+"/"+p.Name] = true
		default:
			if place := p.Location.PathOrEmpty(); distributed(place) {
				places[place] = false
			}
		}
	}
	if len(systems) == 0 || len(places) == 0 && s.insight == nil {
		return found
	}
	s.eachOwnedFile(systems, func(file string) {
		places.mark(file)
		if s.insight != nil {
			s.insight.own(file)
		}
	})
	kept := found[:0]
	for _, p := range found {
		if !places[p.Location.PathOrEmpty()] {
			kept = append(kept, p)
		}
	}
	return kept
}

// eachOwnedFile calls yield with every file of every listed package of the operating system.
func (s *scan) eachOwnedFile(systems map[string]bool, yield func(file string)) {
	s.eachDpkgFile(systems, yield)
	s.eachApkFile(yield)
	s.eachRPMFile(yield)
}

// distributed tells whether a distribution's own packages install at the path. The Filesystem Hierarchy Standard leaves /opt
// and /usr/local to others: what a vendor's package puts there, the distribution has no advisories for.
func distributed(place string) bool {
	return place != "" && !strings.HasPrefix(place, "opt/") && !strings.HasPrefix(place, "usr/local/")
}

// mark notes that the absolute path belongs to a package. Distributions that merged /lib into /usr/lib still list files
// under the old name.
func (o owned) mark(file string) {
	file = strings.TrimPrefix(file, "/")
	if _, ok := o[file]; ok {
		o[file] = true
	}
	if _, ok := o["usr/"+file]; ok {
		o["usr/"+file] = true
	}
}

// eachDpkgFile reads the lists of files of installed Debian packages: info/<package>[:architecture].list, and for images without
// dpkg status.d/<package>.md5sums. A list whose package is not installed proves nothing.
func (s *scan) eachDpkgFile(systems map[string]bool, yield func(string)) {
	for _, place := range []struct {
		dir, suffix string
		file        func(line string) string
	}{
		{"var/lib/dpkg/info", ".list", func(line string) string { return line }},
		{"var/lib/dpkg/status.d", ".md5sums", func(line string) string { return strings.TrimSpace(line[min(len(line), 32):]) }},
	} {
		entries, err := s.fs.ReadDir(place.dir)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			name, ok := strings.CutSuffix(entry.Name(), place.suffix)
			name, _, _ = strings.Cut(name, ":")
			if ok && systems[purl.TypeDebian+"/"+name] {
				s.eachLine(path.Join(place.dir, entry.Name()), func(line string) { yield(place.file(line)) })
			}
		}
	}
}

// eachApkFile reads the files of apk's database: "F:" a directory, "R:" a file in it.
func (s *scan) eachApkFile(yield func(string)) {
	for _, db := range []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"} {
		dir := ""
		s.eachLine(db, func(line string) {
			if rest, ok := strings.CutPrefix(line, "F:"); ok {
				dir = rest
			} else if rest, ok := strings.CutPrefix(line, "R:"); ok {
				yield(path.Join(dir, rest))
			}
		})
	}
}

// eachRPMFile reads the lists of files in RPM's headers.
func (s *scan) eachRPMFile(yield func(string)) {
	for _, dir := range rpmDatabases {
		for _, base := range rpmDatabaseNames {
			f, err := s.fs.Open(dir + base)
			if err != nil {
				continue
			}
			s.eachFileOf(f, yield)
			f.Close() //nolint:errcheck // opened for reading
		}
	}
}

func (s *scan) eachFileOf(f fs.File, yield func(string)) {
	info, err := f.Stat()
	r, ok := f.(io.ReaderAt)
	if err != nil || !ok || !info.Mode().IsRegular() {
		return
	}
	// A damaged database has been warned of when its packages were read.
	_ = rpmdb.Read(s.ctx, r, info.Size(), func(h rpmdb.Header) error {
		for file := range h.Files {
			yield(file)
		}
		return nil
	})
}

// eachLine calls yield with the lines of a file, up to the first that is longer than a path can be.
func (s *scan) eachLine(name string, yield func(string)) {
	f, err := s.fs.Open(name)
	if err != nil {
		return
	}
	defer f.Close() //nolint:errcheck // opened for reading
	lines := bufio.NewScanner(io.LimitReader(f, maxStatus))
	lines.Buffer(nil, 16*maxPathLength)
	for lines.Scan() {
		yield(lines.Text())
	}
	if err := lines.Err(); err != nil && !errors.Is(err, fs.ErrNotExist) && s.ctx.Err() == nil {
		s.warn(name, "its list of files was not read to the end: "+err.Error())
	}
}
