package osvdb

import (
	"cmp"
	"slices"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// version is the version of an installed package, comparable by its ecosystem's rules.
type version struct {
	text      string
	ecosystem string
	numbers   numbers
	parsed    semantic.Version // nil until it is needed
}

// hasRules tells whether versions of the ecosystem can be compared.
func hasRules(ecosystem string) bool {
	_, err := semantic.Parse("1", ecosystem)
	return err == nil
}

// parseVersion refuses versions that say nothing. The ecosystem is one that has rules.
func parseVersion(text, ecosystem string) (*version, bool) {
	if text == "" || text == "(devel)" || text == "unknown" {
		return nil, false
	}
	v := &version{text: text, ecosystem: ecosystem, numbers: parseNumbers(text)}
	return v, v.numbers.known > 0 || v.parse() == nil
}

func (v *version) parse() (err error) {
	if v.parsed == nil {
		v.parsed, err = semantic.Parse(v.text, v.ecosystem)
	}
	return err
}

// compare returns the order of v and a version of a record, and whether there is one.
func (v *version) compare(text string) (int, bool) {
	if v.text == text {
		return 0, true
	}
	if order := v.numbers.compare(parseNumbers(text)); order != 0 {
		return order, true
	}
	if v.parse() != nil {
		return 0, false
	}
	order, err := v.parsed.CompareStr(text)
	return order, err == nil
}

// numbers are the first parts of a version that is nothing but numbers and dots, as most of language packages are. By the
// rules each comparison of PyPI's takes 10 µs, for their regular expressions.
type numbers struct {
	known int // 0: the version is something else
	part  [3]uint32
}

func parseNumbers(text string) (n numbers) {
	for more := true; more; {
		var digits string
		digits, text, more = strings.Cut(text, ".")
		if len(digits) == 0 || len(digits) > 9 || len(digits) > 1 && digits[0] == '0' {
			return numbers{}
		}
		value := uint32(0)
		for _, c := range []byte(digits) {
			if c < '0' || c > '9' {
				return numbers{}
			}
			value = 10*value + uint32(c-'0')
		}
		if n.known < len(n.part) {
			n.part[n.known] = value
			n.known++
		}
	}
	return n
}

// compare orders two versions where the first different part tells: all ecosystems agree on that. It returns 0 where their
// rules are needed: 1.0 and 1.0.0 are one version to PyPI and two to Debian.
func (n numbers) compare(m numbers) int {
	if n.known == 0 || m.known == 0 {
		return 0
	}
	for i := range max(n.known, m.known) {
		a, b := n.part[i], m.part[i]
		switch {
		case a < b:
			return -1
		case a > b:
			return 1
		case i >= n.known || i >= m.known:
			return 0
		}
	}
	return 0
}

// assessment is a version against the versions that a list names, each compared once.
type assessment struct {
	*version
	versions []string
	orders   []int8
}

const (
	notCompared  = 2
	incomparable = 3
)

// against prepares the assessment; its memory is used again.
func (a *assessment) against(v *version, versions []string) {
	a.version, a.versions, a.orders = v, versions, a.orders[:0]
	for range versions {
		a.orders = append(a.orders, notCompared)
	}
}

// order returns the order of the version and the list's n-th.
func (a *assessment) order(n int) int8 {
	if a.orders[n] == notCompared {
		order, ok := a.compare(a.versions[n])
		switch {
		case !ok:
			a.orders[n] = incomparable
		case order < 0:
			a.orders[n] = -1
		case order > 0:
			a.orders[n] = 1
		default:
			a.orders[n] = 0
		}
	}
	return a.orders[n]
}

// affected tells whether the version is affected, and the first fixed version after it, by the evaluation of the OSV schema
// ("Evaluation"): in the list of versions, or in one of the ranges.
func (a *assessment) affected(it *item) (affected bool, fixed string) {
	rest := it.marks
	for len(rest) > 0 {
		end := slices.Index(rest, endOfRange)
		if in, fix := a.in(rest[:end]); in {
			affected, fixed = true, a.lower(fixed, fix)
		}
		rest = rest[end+1:]
	}
	return affected || slices.ContainsFunc(it.single, func(n int) bool {
		return strings.TrimPrefix(a.versions[n], "v") == strings.TrimPrefix(a.text, "v")
	}), fixed
}

// in tells whether the version lies in a range, whose events are in order: whether the last one at or before it is an
// introduction. An introduction that cannot be compared counts as the earliest, a fix that cannot be compared as none: what is
// not understood must not make a version look safe.
func (a *assessment) in(events []int) (in bool, fix string) {
	for _, e := range events {
		if e == fromBeginning {
			in = true
			continue
		}
		order := a.order(e >> 2)
		switch what := e & 3; {
		case what == introduced:
			in = in || order >= 0 || order == incomparable
		case order == incomparable:
		case what == lastAffected:
			in = in && order <= 0
		case order >= 0: // fixed
			in = false
		case fix == "":
			fix = a.versions[e>>2]
		}
	}
	return in, fix
}

// lower returns the lower of two versions of records, "" being none.
func (a *assessment) lower(x, y string) string {
	if x == "" || y == "" {
		return or(x, y)
	}
	parsed, err := semantic.Parse(y, a.ecosystem)
	if err != nil {
		return x
	}
	if order, err := parsed.CompareStr(x); err == nil && order < 0 {
		return y
	}
	return x
}

// inOrder returns the events of a range by their versions, those that cannot be compared first; at one version a beginning
// before an end.
func inOrder(events []event, ecosystem string) []event {
	if !hasRules(ecosystem) {
		return events
	}
	type placed struct {
		event
		at semantic.Version
	}
	list := make([]placed, len(events))
	for i, e := range events {
		list[i].event = e
		if version, what := e.what(); what != fromBeginning {
			if at, err := semantic.Parse(version, ecosystem); err == nil {
				list[i].at = at
			}
		}
	}
	slices.SortStableFunc(list, func(x, y placed) int {
		if x.at == nil || y.at == nil {
			return cmp.Compare(bit(x.at != nil), bit(y.at != nil))
		}
		order, err := x.at.Compare(y.at)
		if err != nil {
			order = 0
		}
		return cmp.Or(order, cmp.Compare(bit(x.Introduced == ""), bit(y.Introduced == "")))
	})
	sorted := make([]event, len(list))
	for i := range list {
		sorted[i] = list[i].event
	}
	return sorted
}

func bit(set bool) int {
	if set {
		return 1
	}
	return 0
}
