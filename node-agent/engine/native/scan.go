package native

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"github.com/google/osv-scalibr/stats"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// maxPackages bounds an inventory. The largest images of scientific software hold about 30,000 packages; beyond three times
// that an image is hostile or broken, and its report would not fit anywhere.
const maxPackages = 100_000

// scan is the state of one scan of one image.
type scan struct {
	ctx      context.Context //nolint:containedctx // scalibr calls back without one
	fs       *watchedFS
	warnings warnings
	found    int
	secrets  *secretFinder // nil when not asked for
	insight  *insight      // nil when not asked for
	bytes    atomic.Int64
	visited  atomic.Int64
}

func newScan(ctx context.Context, t engine.Target) *scan {
	s := &scan{ctx: ctx}
	s.fs = &watchedFS{FS: t.Root, scan: s, exclude: excludes(t.ExcludeDirs)}
	if t.Scans(engine.ScanSecrets) {
		s.secrets = &secretFinder{found: []engine.Secret{}} // not nil: looked for
	}
	if t.Scans(engine.ScanFileInsight) && !t.Repository { // no package owns a file of source code
		s.insight = newInsight()
	}
	return s
}

func (s *scan) warn(path, message string) { s.warnings.add(path, message) }

// room tells how many of n more packages the inventory takes, and says once when it takes no more.
func (s *scan) room(n int) int {
	if s.found+n <= maxPackages {
		s.found += n
		return n
	}
	n = maxPackages - s.found
	s.found = maxPackages
	s.warn("", "the image holds more than 100,000 packages; the others are not listed")
	return n
}

// warnings keeps one message for each path, of the first MaxWarnings paths, and counts the other paths.
type warnings struct {
	byPath  map[string]string
	dropped int
	last    string // the path dropped last: several extractors fail on the same file in a row
}

const (
	maxWarningPath    = 512
	maxWarningMessage = 512
)

func (w *warnings) add(path, message string) {
	if _, known := w.byPath[path]; known {
		return
	}
	if len(w.byPath) >= engine.MaxWarnings {
		if path != w.last {
			w.dropped, w.last = w.dropped+1, path
		}
		return
	}
	if w.byPath == nil {
		w.byPath = map[string]string{}
	}
	w.byPath[path] = message
}

func (w *warnings) list() ([]engine.Warning, int) {
	var list []engine.Warning
	for path, message := range w.byPath {
		list = append(list, engine.Warning{
			Path:    engine.Text(path, maxWarningPath),
			Message: engine.Text(message, maxWarningMessage),
		})
	}
	slices.SortFunc(list, func(a, b engine.Warning) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return list, w.dropped
}

// counter counts what the walk visits.
type counter struct {
	stats.NoopCollector
	s *scan
}

func (c counter) AfterInodeVisited(string) { c.s.visited.Add(1) }
