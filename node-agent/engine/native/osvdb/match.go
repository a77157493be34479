package osvdb

import (
	"cmp"
	"context"
	"fmt"
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

// MaxFindings bounds what Match returns. The headers, tools and images of an old kernel, ten packages with 4,000 records each,
// stay below it; an image whose package lists claim more is built to exhaust its reader's memory.
const MaxFindings = 100_000

// Match finds the vulnerabilities of the packages of an image with the operating system. It fails when the database cannot be
// read, when ctx ends, and beyond MaxFindings: a part of them could be the harmless part.
func (db *DB) Match(ctx context.Context, os engine.OS, packages []engine.Package) (Matches, error) {
	m := matcher{db: db, os: os, at: map[[2]string]int{}}
	var result Matches
	unassessed := map[string]struct{}{}
	for i := range packages {
		if err := ctx.Err(); err != nil {
			return Matches{}, err
		}
		assessed, err := m.match(&packages[i])
		if err != nil {
			return Matches{}, err
		}
		if !assessed {
			unassessed[engine.Unqualified(packages[i].PURL)] = struct{}{}
		}
	}
	result.NotAssessed = len(unassessed)
	for i := range m.found {
		ids := &m.found[i].IDs
		slices.Sort(ids.Advisories)
		ids.Advisories = slices.Compact(ids.Advisories)
	}
	if len(m.found) > 0 { // else nil
		result.Findings = sorted(m.found)
	}
	return result, nil
}

// sorted are the findings in their order. They are large: each is moved once.
func sorted(found []engine.Finding) []engine.Finding {
	order := make([]*engine.Finding, len(found))
	for i := range found {
		order[i] = &found[i]
	}
	slices.SortFunc(order, func(a, b *engine.Finding) int {
		if c := cmp.Or(-cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), -cmp.Compare(a.Score, b.Score)); c != 0 {
			return c
		}
		if a.ID != b.ID {
			return cmp.Compare(a.ID, b.ID)
		}
		return cmp.Compare(a.PURL, b.PURL)
	})
	list := make([]engine.Finding, len(order))
	for i, f := range order {
		list[i] = *f
	}
	return list
}

type matcher struct {
	db     *DB
	os     engine.OS
	found  []engine.Finding
	at     map[[2]string]int // places in found, by vulnerability and unqualified package URL
	names  []candidate       // of one package after the other
	memory memory
	item   item
	assessment
}

// hit is a record that affects a candidate.
type hit struct {
	*entry
	fixed string
	size  int // of the entry's text
}

// match adds a package's findings and tells whether it could be assessed.
func (m *matcher) match(p *engine.Package) (assessed bool, err error) {
	if p.Ecosystem == "" {
		return false, nil
	}
	m.names = candidates(m.names[:0], p, m.os, m.db.withPrefix)
	for _, c := range m.names {
		if !m.db.rules[c.ecosystem] {
			continue
		}
		hits, known := m.db.known.of(c)
		if !known {
			v, ok := parseVersion(c.version, c.ecosystem)
			if !ok {
				continue
			}
			if hits, err = m.lookup(c, v); err != nil {
				return false, err
			}
			m.db.known.remember(c, hits)
		}
		assessed = true
		for i := range hits {
			m.add(p, hits[i].entry, hits[i].fixed)
		}
		if len(m.found) > MaxFindings {
			return false, fmt.Errorf("its packages have more than %d vulnerabilities", MaxFindings)
		}
	}
	return assessed, nil
}

// lookup returns the records that affect a candidate.
func (m *matcher) lookup(c candidate, v *version) ([]hit, error) {
	l, err := m.db.lookup(key{c.ecosystem, c.name}, &m.memory)
	if err != nil {
		return nil, err
	}
	var hits []hit
	for m.against(v, l.versions); l.next(&m.item); {
		affected, fixed := m.affected(&m.item)
		if !affected {
			continue
		}
		e, err := l.describe(&m.item)
		if err != nil {
			return nil, err
		}
		hits = append(hits, hit{e, strings.Clone(fixed), m.item.length})
	}
	return hits, l.err()
}

// add notes that the entry's vulnerabilities affect the package.
func (m *matcher) add(p *engine.Package, e *entry, fixed string) {
	ids := e.CVEs
	if len(ids) == 0 {
		ids = []string{or(e.GHSA, e.ID)}
	}
	for _, id := range ids {
		key := [2]string{id, engine.Unqualified(p.PURL)}
		at, is := m.at[key]
		if !is {
			at = len(m.found)
			m.at[key] = at
			m.found = append(m.found, finding(id, p))
		}
		describe(&m.found[at], e, fixed, e.rating(id))
	}
}

// finding is a vulnerability of a package of which nothing more is said yet.
func finding(id string, p *engine.Package) engine.Finding {
	f := engine.Finding{ID: engine.Text(id, maxID), Package: p.Name, Version: p.Version, PURL: p.PURL}
	if len(p.Locations) > 0 {
		f.Path = p.Locations[0]
	}
	if strings.HasPrefix(id, "CVE-") {
		f.IDs.CVE = f.ID
	}
	return f
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
