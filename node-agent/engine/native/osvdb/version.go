package osvdb

import (
	"slices"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// version is the version of an installed package, comparable by its ecosystem's rules.
type version struct {
	text      string
	ecosystem string
	parsed    semantic.Version
}

// parseVersion refuses versions that say nothing and versions of ecosystems whose rules are not known.
func parseVersion(text, ecosystem string) (version, bool) {
	if text == "" || text == "(devel)" || text == "unknown" {
		return version{}, false
	}
	parsed, err := semantic.Parse(text, ecosystem)
	return version{text, ecosystem, parsed}, err == nil
}

// compare returns the order of v and a version of a record, and whether there is one.
func (v version) compare(text string) (int, bool) {
	order, err := v.parsed.CompareStr(text)
	return order, err == nil
}

// affects tells whether the version is affected, and the first fixed version after it, by the evaluation of the OSV schema
// ("Evaluation"): in the list of versions, or in one of the ranges.
func (e *entry) affects(v version) (affected bool, fixed string) {
	for _, events := range e.Ranges {
		if v.in(events) {
			affected = true
			fixed = v.lower(fixed, v.fix(events))
		}
	}
	return affected || slices.ContainsFunc(e.Versions, func(have string) bool {
		return strings.TrimPrefix(have, "v") == strings.TrimPrefix(v.text, "v")
	}), fixed
}

// in tells whether the version lies in the range: whether the latest event at or before it is an introduction. Events come
// in any order. An introduction that cannot be compared counts as the earliest, a fix that cannot be compared as none: what
// is not understood must not make a version look safe.
func (v version) in(events []event) bool {
	in, last := false, "" // "" is before every version
	for _, e := range events {
		at, reached := v.reached(e)
		if !reached {
			continue
		}
		order := 0
		if at != last {
			order = v.order(at, last)
		}
		switch {
		case order > 0:
			in, last = e.Introduced != "", at
		case order == 0 && last == "":
			in = true // only introductions are that early
		case order == 0:
			in = in && e.Introduced != "" // an end at the same version comes after its beginning
		}
	}
	return in
}

// reached returns where the event is and whether v is at or after it; after it, for the last affected version.
func (v version) reached(e event) (at string, reached bool) {
	switch {
	case e.Introduced != "":
		if e.Introduced == "0" {
			return "", true
		}
		order, ok := v.compare(e.Introduced)
		if !ok {
			return "", true
		}
		return e.Introduced, order >= 0
	case e.Fixed != "":
		order, ok := v.compare(e.Fixed)
		return e.Fixed, ok && order >= 0
	case e.LastAffected != "":
		order, ok := v.compare(e.LastAffected)
		return e.LastAffected, ok && order > 0
	}
	return "", false
}

// order compares two versions of a record; "" is before every other.
func (v version) order(a, b string) int {
	if a == "" {
		return -1
	}
	if b == "" {
		return 1
	}
	parsed, err := semantic.Parse(a, v.ecosystem)
	if err != nil {
		return 0
	}
	order, err := parsed.CompareStr(b)
	if err != nil {
		return 0
	}
	return order
}

// fix returns the first fixed version of the range after v, or "".
func (v version) fix(events []event) (fixed string) {
	for _, e := range events {
		if e.Fixed == "" {
			continue
		}
		if order, ok := v.compare(e.Fixed); ok && order < 0 {
			fixed = v.lower(fixed, e.Fixed)
		}
	}
	return fixed
}

// lower returns the lower of two versions, "" being none.
func (v version) lower(a, b string) string {
	if a == "" || b != "" && v.order(b, a) < 0 {
		return b
	}
	return a
}
