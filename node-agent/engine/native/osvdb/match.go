package osvdb

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// Matches are the vulnerabilities of an image's packages.
type Matches struct {
	// Findings are sorted: most severe first, then by vulnerability and package URL.
	Findings []engine.Finding
	// NotAssessed counts packages the database says nothing about: it has no record of their ecosystem at all, or their
	// version cannot be compared.
	NotAssessed int
}

// Match finds the vulnerabilities of the packages of an image with the operating system. It fails only when the database
// cannot be read or ctx ends.
func (db *DB) Match(ctx context.Context, os engine.OS, packages []engine.Package) (Matches, error) {
	m := matcher{db: db, found: map[[2]string]*engine.Finding{}}
	var result Matches
	unassessed := map[string]struct{}{}
	for i := range packages {
		if err := ctx.Err(); err != nil {
			return Matches{}, err
		}
		assessed, err := m.match(&packages[i], os)
		if err != nil {
			return Matches{}, err
		}
		if !assessed {
			unassessed[engine.Unqualified(packages[i].PURL)] = struct{}{}
		}
	}
	result.NotAssessed = len(unassessed)
	for _, f := range m.found {
		slices.Sort(f.IDs.Advisories)
		f.IDs.Advisories = slices.Compact(f.IDs.Advisories)
		result.Findings = append(result.Findings, *f)
	}
	slices.SortFunc(result.Findings, func(a, b engine.Finding) int {
		return cmp.Or(-cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), -cmp.Compare(a.Score, b.Score),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.PURL, b.PURL))
	})
	return result, nil
}

type matcher struct {
	db    *DB
	found map[[2]string]*engine.Finding // by vulnerability and unqualified package URL
	// The last list read: binary packages of one source follow one another in a sorted inventory.
	last    key
	entries []entry
}

func (m *matcher) lookup(k key) ([]entry, error) {
	if m.last == k {
		return m.entries, nil
	}
	entries, err := m.db.lookup(k)
	if err == nil {
		m.last, m.entries = k, entries
	}
	return entries, err
}

// match adds a package's findings and tells whether it could be assessed.
func (m *matcher) match(p *engine.Package, os engine.OS) (assessed bool, err error) {
	if p.Ecosystem == "" {
		return false, nil
	}
	for _, c := range candidates(p, os, m.db.withPrefix) {
		if m.db.info.Ecosystems[c.ecosystem] == 0 {
			continue
		}
		v, ok := parseVersion(c.version, c.ecosystem)
		if !ok {
			continue
		}
		assessed = true
		entries, err := m.lookup(key{c.ecosystem, c.name})
		if err != nil {
			return false, err
		}
		for i := range entries {
			if affected, fixed := entries[i].affects(v); affected {
				m.add(p, &entries[i], fixed)
			}
		}
	}
	return assessed, nil
}

// add notes that the entry's vulnerabilities affect the package.
func (m *matcher) add(p *engine.Package, e *entry, fixed string) {
	ids := e.CVEs
	if len(ids) == 0 {
		ids = []string{or(e.GHSA, e.ID)}
	}
	for _, id := range ids {
		at := [2]string{id, engine.Unqualified(p.PURL)}
		f := m.found[at]
		if f == nil {
			f = &engine.Finding{ID: engine.Text(id, maxID), Package: p.Name, Version: p.Version, PURL: p.PURL}
			if len(p.Locations) > 0 {
				f.Path = p.Locations[0]
			}
			if strings.HasPrefix(id, "CVE-") {
				f.IDs.CVE = f.ID
			}
			m.found[at] = f
		}
		describe(f, e, fixed, e.rating(id))
	}
}

// rating returns the rating of one of the entry's vulnerabilities.
func (e *entry) rating(id string) rating {
	if r, ok := e.Ratings[id]; ok {
		return r
	}
	return e.Rating
}

const (
	maxID          = 64
	maxFixed       = 256
	maxFindingText = maxSummary
	// maxAdvisories bounds the records named for one finding; the first twenty, in order of their names.
	maxAdvisories = 20
)

// describe adds what an entry says of the finding. Of several ratings the one with a CVSS score holds, then the more severe;
// of several fixes the first one named, as every record speaks of its own line of versions.
func describe(f *engine.Finding, e *entry, fixed string, r rating) {
	id := engine.Text(e.ID, maxID)
	if !slices.Contains(f.IDs.Advisories, id) && id != f.ID && len(f.IDs.Advisories) < maxAdvisories {
		f.IDs.Advisories = append(f.IDs.Advisories, id)
	}
	if f.IDs.GHSA == "" {
		f.IDs.GHSA = engine.Text(e.GHSA, maxID)
	}
	if f.FixedVersion == "" {
		f.FixedVersion = engine.Text(fixed, maxFixed)
	}
	if f.Summary == "" {
		f.Summary = engine.Text(e.Summary, maxFindingText)
	}
	scored := f.Vector != ""
	if r.scored() && !scored || r.scored() == scored && r.Severity.Rank() > f.Severity.Rank() {
		f.Severity, f.Score, f.Vector, f.Source = r.Severity, r.Score, r.Vector, r.Source
	}
}
