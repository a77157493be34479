package volume

import (
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
)

// reaches reports whether the names of path lead the patterns of one tree to an end.
func reaches(t *tree, path string) bool {
	at := t.begin()
	for _, name := range components(path) {
		at = at.enter(name)
	}
	return at.matched()
}

func treeOf(t *testing.T, patterns ...string) *tree {
	t.Helper()
	root := &tree{}
	for _, p := range patterns {
		lists, err := parsePattern(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, segments := range lists {
			root.add(segments, 0)
		}
	}
	return root
}

func TestPatterns(t *testing.T) {
	for _, tc := range []struct {
		pattern string
		yes, no []string
	}{
		{"**", []string{"", "a", "a/b/c", "\xff/\n"}, nil},
		{"**/*.sif", []string{"a.sif", "a/b.sif", "\xff\xfe.sif", ".sif", "a/b/c/\xc3.sif"}, []string{"a.sif/b", "a.sifx", ""}},
		{"a/**/b", []string{"a/b", "a/x/b", "a/b/b", "a/x/y/b"}, []string{"a", "b", "a/x", "a/b/x"}},
		{"a/**/**/b", []string{"a/b", "a/x/y/b"}, []string{"a"}},
		{"**/a/**/b/**", []string{"a/b", "x/a/y/b/z/z"}, []string{"b/a", "a"}},
		{"a**b", []string{"ab", "axb"}, []string{"a/b"}},
		{"?.sif", []string{"a.sif", "é.sif", "\xe9.sif"}, []string{"ab.sif", ".sif"}},
		{"[a-c\\]].sif", []string{"b.sif", "].sif"}, []string{"d.sif"}},
		{"[!a].sif", []string{"b.sif", "\xff.sif"}, []string{"a.sif"}},
		{"{a,b/{c,d}}/*.sif", []string{"a/x.sif", "b/c/x.sif", "b/d/x.sif"}, []string{"b/x.sif", "c/x.sif"}},
		{"x{,y}.sif", []string{"x.sif", "xy.sif"}, []string{"xx.sif"}},
		{`\{a,b\}`, []string{"{a,b}"}, []string{"a", "b"}},
		{"[{]a,b[}]", []string{"{a,b}"}, []string{"a"}},
		{`a\*`, []string{"a*"}, []string{"ab"}},
		{"./a//b/.", []string{"a/b"}, []string{"a"}},
		{"größe/*", []string{"größe/x"}, []string{"gr\xf6\xdfe/x"}},
	} {
		t.Run(tc.pattern, func(t *testing.T) {
			root := treeOf(t, tc.pattern)
			for _, path := range tc.yes {
				if !reaches(root, path) {
					t.Errorf("does not match %q", path)
				}
			}
			for _, path := range tc.no {
				if reaches(root, path) {
					t.Errorf("matches %q", path)
				}
			}
		})
	}
}

func TestPatternsThatCannotBeFollowedAreRefused(t *testing.T) {
	for pattern, says := range map[string]string{
		"[a":                             "not closed",
		"{a":                             "not closed",
		"a}":                             "not closed",
		`a\`:                             "at the end",
		"[a/b].sif":                      "before the next /",
		"a\x00":                          "NUL",
		"*/../b":                         `".."`,
		`*/\.\.`:                         `".."`,
		"{.,x}{.,y}/a":                   `".."`,
		strings.Repeat("a", 5000):        "longer than 4096 bytes",
		strings.Repeat("{a,b}", 11):      "more than 1024",
		strings.Repeat("{a,{b,c,d}}", 6): "more than 1024",
		strings.Repeat("{a,b}", 9) + strings.Repeat("{a}", 1000): "too many",
	} {
		if _, err := parsePattern(pattern); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: got %v, want an error that says %q", pattern, err, says)
		}
	}
	if _, err := parsePattern(strings.Repeat("{a,b}", 10)); err != nil {
		t.Errorf("1024 alternatives are allowed: %v", err)
	}
}

func TestManyPatternsShareTheirBeginnings(t *testing.T) {
	root := treeOf(t, "a/b/*.sif", "a/b/*.img", "a/c/x", "**/x", "**/y")
	at := root.begin().enter("a")
	if len(at) != 2 {
		t.Errorf("%d places after one name, want the common beginning and the two stars", len(at))
	}
	if _, few := at.names(); few {
		t.Error("two stars need a listing")
	}
}

// FuzzPattern compares the merged walk with trying every length for every **. doublestar itself is no measure for whole
// paths: to it a/** matches a, but a*/** does not.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"**/*.sif", "a/b.sif"}, {"a/**/b/**", "a/b"}, {"{a,b/c}/[x-z]*", "b/c/y1"}, {`\*\[a`, "*[a"}, {"**", "\xff"},
		{"a/*/b?", "a//b\xc3"}, {"{,a}/b", "b"}, {"a*/**", "a"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if len(pattern) > 60 || len(components(path)) > 10 {
			return // or trying takes too long
		}
		lists, err := parsePattern(pattern)
		if err != nil {
			return
		}
		root := &tree{}
		whole := false
		names := components(path)
		for _, segments := range lists {
			root.add(segments, 0)
			whole = whole || matches(segments, names)
		}
		if got := reaches(root, path); got != whole {
			t.Fatalf("pattern %q, path %q: walk says %v, want %v", pattern, path, got, whole)
		}
		// A path that matches is never cut off on the way.
		at := root.begin()
		for _, name := range names {
			if whole && !at.leads() {
				t.Fatalf("pattern %q: nothing leads to %q before %q", pattern, path, name)
			}
			at = at.enter(name)
		}
	})
}

// matches tries every length for every **.
func matches(segments []segment, names []string) bool {
	switch {
	case len(segments) == 0:
		return len(names) == 0
	case segments[0].kind == doubleStar:
		return matches(segments[1:], names) || len(names) > 0 && matches(segments, names[1:])
	case len(names) == 0:
		return false
	case segments[0].kind == literal:
		return segments[0].text == names[0] && matches(segments[1:], names[1:])
	}
	return doublestar.MatchUnvalidated(segments[0].text, names[0]) && matches(segments[1:], names[1:])
}
