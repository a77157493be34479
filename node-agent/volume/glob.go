package volume

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

const (
	// maxPattern bounds one path or pattern of a Spec, in bytes (PATH_MAX of Linux).
	maxPattern = 4096
	// maxAlternatives bounds what the braces of one pattern expand to: {a,b}{a,b}… doubles with every pair.
	maxAlternatives = 1024
)

// segment is one name of a pattern.
type segment struct {
	text string
	kind segmentKind
}

type segmentKind int

const (
	literal    segmentKind = iota // text is the name itself
	wildcard                      // text is a doublestar pattern for one name
	doubleStar                    // **: any number of names, also none
)

// parsePattern splits a pattern into one list of segments for each combination of its braces. A "/" at its start is left
// to the caller; "." and empty names are dropped.
func parsePattern(pattern string) ([][]segment, error) {
	if err := checkPattern(pattern); err != nil {
		return nil, err
	}
	alternatives, err := expandBraces(pattern)
	if err != nil {
		return nil, err
	}
	lists := make([][]segment, 0, len(alternatives))
	for _, alternative := range alternatives {
		segments, err := parseSegments(alternative)
		if err != nil {
			return nil, err
		}
		lists = append(lists, segments)
	}
	return lists, nil
}

func checkPattern(pattern string) error {
	switch {
	case len(pattern) > maxPattern:
		return fmt.Errorf("is longer than %d bytes", maxPattern)
	case strings.IndexByte(pattern, 0) >= 0:
		return errors.New("contains a NUL byte, which no file name has")
	case !doublestar.ValidatePattern(pattern):
		return errors.New(`is not a valid pattern: a [ or { is not closed, or a \ stands at the end`)
	}
	return nil
}

func parseSegments(pattern string) ([]segment, error) {
	var segments []segment
	for _, text := range components(pattern) {
		s := segment{text: text, kind: wildcard}
		switch plain, ok := unquote(text); {
		case text == "**":
			s.kind = doubleStar
		case ok:
			s = segment{text: plain, kind: literal}
		case !doublestar.ValidatePattern(text):
			return nil, fmt.Errorf("is not a valid pattern: a [ in %s is not closed before the next /", quoted([]string{text}))
		}
		if s.kind == literal && (s.text == "." || s.text == "..") {
			return nil, errors.New(`contains "..": write the path from the top of the volume`)
		}
		segments = append(segments, s)
	}
	return segments, nil
}

// unquote returns the one name that text matches, or false if it is a real pattern.
func unquote(text string) (string, bool) {
	if !strings.ContainsAny(text, `*?[{\`) {
		return text, true
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '*', '?', '[', '{':
			return "", false
		case '\\':
			i++
			if i == len(text) {
				return "", false
			}
		}
		b.WriteByte(text[i])
	}
	return b.String(), true
}

// expandBraces replaces {a,b/c} by its alternatives. Slashes inside braces make patterns of different depth, so this has
// to be done before a pattern can be followed directory by directory.
func expandBraces(pattern string) ([]string, error) {
	done, open := []string(nil), []string{pattern}
	for steps := 0; len(open) > 0; steps++ {
		if steps > 4*maxAlternatives {
			return nil, errors.New("has too many braces")
		}
		p := open[0]
		open = open[1:]
		start, commas, end := firstBraces(p)
		if end < 0 {
			done = append(done, p)
			continue
		}
		from := start + 1
		for _, to := range append(commas, end) {
			open = append(open, p[:start]+p[from:to]+p[end+1:])
			from = to + 1
		}
		if len(open)+len(done) > maxAlternatives {
			return nil, fmt.Errorf("its braces stand for more than %d patterns", maxAlternatives)
		}
	}
	return done, nil
}

// firstBraces returns where the first brace of a valid pattern opens, where its commas are and where it closes, or a
// negative end. Escaped characters and character classes hold no braces.
func firstBraces(p string) (start int, commas []int, end int) {
	depth := 0
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '[':
			i = classEnd(p, i)
		case '{':
			if depth == 0 {
				start = i
			}
			depth++
		case ',':
			if depth == 1 {
				commas = append(commas, i)
			}
		case '}':
			if depth--; depth == 0 {
				return start, commas, i
			}
		}
	}
	return 0, nil, -1
}

// classEnd returns the offset of the ] that ends the character class at p[i].
func classEnd(p string, i int) int {
	for i++; i < len(p) && p[i] != ']'; i++ {
		if p[i] == '\\' {
			i++
		}
	}
	return i
}

// tree holds many patterns merged by their common beginnings, so that one walk serves all of them and reads each
// directory at most once.
type tree struct {
	literals  map[string]*tree
	wildcards []edge
	any       *tree // where ** leads: any itself, at every depth from here
	repeats   bool  // this is the far end of a **
	terminal  bool  // a pattern ends here
	// named: the user wrote this very path, or one below it, without wildcards. Such a directory is entered even where
	// the walk alone would turn back: on another file system, or in a snapshot directory.
	named bool
}

type edge struct {
	pattern string
	to      *tree
}

// add merges a pattern into t. Its first named segments are the user's own words.
func (t *tree) add(segments []segment, named int) {
	for i, s := range segments {
		t = t.child(s)
		t.named = t.named || i < named
	}
	t.terminal = true
}

func (t *tree) child(s segment) *tree {
	switch s.kind {
	case literal:
		if t.literals == nil {
			t.literals = map[string]*tree{}
		}
		if t.literals[s.text] == nil {
			t.literals[s.text] = &tree{}
		}
		return t.literals[s.text]
	case doubleStar:
		if t.repeats {
			return t
		}
		if t.any == nil {
			t.any = &tree{repeats: true}
		}
		return t.any
	}
	for _, e := range t.wildcards {
		if e.pattern == s.text {
			return e.to
		}
	}
	to := &tree{}
	t.wildcards = append(t.wildcards, edge{s.text, to})
	return to
}

// states are the places in a tree at which a path can be.
type states []*tree

// begin returns the states of the root directory.
func (t *tree) begin() states { return states(nil).with(t) }

// with adds t and what can be reached from it without a name.
func (s states) with(t *tree) states {
	for ; t != nil; t = t.any {
		for _, have := range s {
			if have == t {
				return s
			}
		}
		s = append(s, t)
	}
	return s
}

// enter returns the states after one more name.
func (s states) enter(name string) states {
	next := s.enterLiteral(name)
	for _, t := range s {
		if t.repeats {
			next = next.with(t)
		}
		for _, e := range t.wildcards {
			// The pattern was validated. doublestar takes a byte that is not UTF-8 for one character, so * and ? match it.
			if doublestar.MatchUnvalidated(e.pattern, name) {
				next = next.with(e.to)
			}
		}
	}
	return next
}

// enterLiteral is enter without wildcards: what is left when only a name that the user wrote out counts.
func (s states) enterLiteral(name string) states {
	var next states
	for _, t := range s {
		if to := t.literals[name]; to != nil {
			next = next.with(to)
		}
	}
	return next
}

// named returns what is left where only directories count that the user wrote without any wildcard before them.
func (s states) named() states {
	var kept states
	for _, t := range s {
		if t.named {
			kept = kept.with(t)
		}
	}
	return kept
}

// matched reports whether a pattern ends here.
func (s states) matched() bool {
	for _, t := range s {
		if t.terminal {
			return true
		}
	}
	return false
}

// leads reports whether any path below can match.
func (s states) leads() bool {
	for _, t := range s {
		if t.repeats || len(t.wildcards) > 0 || len(t.literals) > 0 {
			return true
		}
	}
	return false
}

// names returns the only names that can match next, or false if the directory has to be listed.
func (s states) names() ([]string, bool) {
	var names []string
	for _, t := range s {
		if t.repeats || len(t.wildcards) > 0 {
			return nil, false
		}
		for name := range t.literals {
			names = append(names, name)
		}
	}
	return names, true
}
