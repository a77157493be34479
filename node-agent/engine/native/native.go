// Package native is the scan engine that needs nothing but itself: osv-scalibr's extractors, chosen one by one, over the
// agent's own reader of the image. It writes no file and starts no process; it reads the image in place and holds no more of
// it than the file under an extractor's eyes.
package native

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/osv-scalibr/extractor/filesystem"
	scalibrfs "github.com/google/osv-scalibr/fs"
	"github.com/google/osv-scalibr/log"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
	"github.com/sifscan/sifscan-operator/node-agent/engine/osrelease"
)

// Name is the engine's name in the API.
const Name = "native"

// Version is the engine's version: that of osv-scalibr, then the number of our own set of extractors, which grows whenever
// the same image may give another inventory. Reports keep it, and an image is scanned again when it changes.
const Version = "osv-scalibr-0.5.3+1"

// Engine is the native engine. It is safe for concurrent use.
type Engine struct {
	rules      []rule
	repository []rule    // for source code
	db         *osvdb.DB // nil: nothing is matched
	seen       *packageTexts
}

var _ engine.Engine = (*Engine)(nil)

// New returns the engine.
func New() (*Engine, error) {
	// scalibr logs through one global logger, to the standard error stream and with text from the image unescaped. What
	// matters comes back as warnings.
	log.SetLogger(silent{})
	rules, err := newRules()
	if err != nil {
		return nil, fmt.Errorf("set up the native engine: %w", err)
	}
	repository, err := newRepositoryRules()
	if err != nil {
		return nil, fmt.Errorf("set up the native engine: %w", err)
	}
	return &Engine{rules: rules, repository: repository, seen: &packageTexts{}}, nil
}

// WithDatabase returns the engine matching packages with the database, which stays the caller's to close.
func (e *Engine) WithDatabase(db *osvdb.DB) *Engine {
	return &Engine{rules: e.rules, repository: e.repository, db: db, seen: e.seen}
}

// Name returns "native".
func (e *Engine) Name() string { return Name }

// Scan lists the packages of an image and, when asked, the secrets in it and the files no package owns. A file that cannot be
// read or parsed is a warning. Scan fails with EmptyInventory when the image names no operating system and holds no package,
// with DeadlineExceeded when ctx's deadline passes, and with ctx.Err() when ctx is cancelled.
func (e *Engine) Scan(ctx context.Context, t engine.Target) (*engine.Result, error) {
	s := newScan(ctx, t)
	result, rules := &engine.Result{EngineVersion: Version}, e.repository
	if !t.Repository { // the os-release file of a repository would be a sample, or a file to be shipped
		result.OS, rules = osrelease.Read(t.Root), e.rules
	}
	packages, err := s.run(rules)
	if err != nil {
		return nil, failed(ctx, t, err)
	}
	if len(packages) == 0 {
		if !result.OS.Known() {
			return nil, &engine.Error{Reason: v1alpha1.ReasonEmptyInventory, Message: s.empty(t)}
		}
		s.warn("", fmt.Sprintf("%s, but no package database and no language package was found: nothing in it could be assessed", result.OS.Name))
	}
	if t.Scans(engine.ScanPackages) {
		result.Packages = packages
		if err := e.match(ctx, result); err != nil {
			return nil, failed(ctx, t, err)
		}
	}
	if s.secrets != nil {
		result.Secrets = s.secrets.list()
		if limits := s.secrets.limits(); limits != "" {
			s.warn("", limits)
		}
	}
	result.Warnings, result.DroppedWarnings = s.warnings.list()
	result.BytesRead, result.FilesVisited = s.bytes.Load(), s.visited.Load()
	inventory := func() ([]byte, error) {
		texts, err := textsOf(result)
		if err != nil {
			return nil, err
		}
		return makeInventory(t, result, s.insight, texts)
	}
	if result.Documents, err = makeDocuments(t, result, inventory); err != nil {
		return nil, failed(ctx, t, err)
	}
	return result, nil
}

// match adds the vulnerabilities of the result's packages. Without a database no package is assessed.
func (e *Engine) match(ctx context.Context, r *engine.Result) error {
	if e.db == nil {
		r.NotAssessed = engine.Distinct(r.Packages)
		return nil
	}
	matches, err := e.db.Match(ctx, r.OS, r.Packages)
	if err != nil {
		return err
	}
	info := e.db.Info()
	r.Findings, r.NotAssessed = matches.Findings, matches.NotAssessed
	r.Database = &engine.Database{Digest: info.Digest, UpdatedAt: info.UpdatedAt}
	return nil
}

// run walks the image with every extractor, then settles which package owns what. Packages are looked for whatever the scan
// types: they tell a read image from an empty one, and which files nobody owns.
func (s *scan) run(rules []rule) ([]engine.Package, error) {
	var extractors []filesystem.Extractor
	for _, r := range rules {
		extractors = append(extractors, &guard{rule: r, scan: s})
	}
	if s.secrets != nil {
		extractors = append(extractors, &guard{rule: s.secrets.rule(), scan: s})
	}
	inventory, _, err := filesystem.Run(s.ctx, &filesystem.Config{
		Extractors: extractors,
		// The empty path tells scalibr that there is no directory behind the file system it could open by itself.
		ScanRoots: []*scalibrfs.ScanRoot{{FS: s.fs}},
		Stats:     counter{s: s},
	})
	if err != nil {
		return nil, err
	}
	if s.insight != nil {
		for _, p := range inventory.Packages {
			s.ownLanguagePackage(p)
		}
	}
	packages := s.convert(s.withoutOwned(withoutCondaTwins(inventory.Packages)))
	if s.insight != nil {
		if err := s.walkUnowned(); err != nil {
			return nil, err
		}
	}
	return packages, s.ctx.Err() // what was read after ctx ended is not whole
}

func failed(ctx context.Context, t engine.Target, err error) error {
	name := engine.Text(t.DisplayName, 256)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &engine.Error{Reason: v1alpha1.ReasonDeadlineExceeded, Err: ctx.Err(),
			Message: fmt.Sprintf("the scan of %s did not end in time; raise spec.scanner.timeout", name)}
	case ctx.Err() != nil:
		return fmt.Errorf("scan %s: %w", name, ctx.Err())
	}
	return &engine.Error{Reason: v1alpha1.ReasonEngineFailed, Message: "the scan of " + name + " failed", Err: err}
}

// silent drops scalibr's log.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Infof(string, ...any)  {}
func (silent) Debugf(string, ...any) {}
func (silent) Error(...any)          {}
func (silent) Warn(...any)           {}
func (silent) Info(...any)           {}
func (silent) Debug(...any)          {}
