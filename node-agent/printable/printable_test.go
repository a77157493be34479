package printable

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"an ordinary path stays as it is", "projects/a b/pytorch-2.1.sif", "projects/a b/pytorch-2.1.sif"},
		{"letters of other scripts stay as they are", "größe/名前.sif", "größe/名前.sif"},
		{"a combining mark stays with its letter", "e\u0301.sif", "e\u0301.sif"},
		{"a backslash is doubled", `a\x1b`, `a\\x1b`},
		{"a terminal sequence is shown and not run", "\x1b[31mred\x07", `\x1b[31mred\x07`},
		{"a line feed cannot start a new line", "a\nb\r\t\x00\x7f", `a\x0ab\x0d\x09\x00\x7f`},
		{"a byte that is not UTF-8 is shown as that byte", "caf\xe9.sif", `caf\xe9.sif`},
		{"a surrogate in UTF-8 is shown byte by byte", "\xed\xa0\x80", `\xed\xa0\x80`},
		{"the replacement character itself is a character", "\ufffd", "\ufffd"},
		{"an eight-bit control sequence introducer is shown", "\u009b2J", `\u{9b}2J`},
		{"a bidirectional override cannot turn the name around", "a\u202efis.exe", `a\u{202e}fis.exe`},
		{"an isolate cannot turn the name around", "\u2066a\u2069", `\u{2066}a\u{2069}`},
		{"a zero-width space is shown", "a\u200bb", `a\u{200b}b`},
		{"a byte order mark is shown", "\ufeffa", `\u{feff}a`},
		{"a line separator is shown", "a\u2028b", `a\u{2028}b`},
		{"a no-break space is shown", "a\u00a0b", `a\u{a0}b`},
		{"a variation selector is shown", "a\ufe0f", `a\u{fe0f}`},
		{"a Hangul filler is shown although it is a letter", "\u3164", `\u{3164}`},
		{"a blank Braille cell is shown although it is a symbol", "\u2800", `\u{2800}`},
		{"a tag character is shown", "\U000e0041", `\u{e0041}`},
		{"a private character is shown", "\U0010fffd", `\u{10fffd}`},
		{"nothing is nothing", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Escape(tc.in); got != tc.want {
				t.Errorf("Escape(%q) = %s, want %s", tc.in, got, tc.want)
			}
		})
	}
}

func TestTruncate(t *testing.T) {
	for _, tc := range []struct {
		name  string
		in    string
		limit int
		want  string
	}{
		{"text that fits is left alone", "abcdef", 6, "abcdef"},
		{"text that does not fit ends in an ellipsis within the limit", "abcdefg", 6, "abc…"},
		{"a character is not cut in half", "aaéé", 5, "aa…"},
		{"an escaped byte is not cut in half", `abc\x1bdef`, 8, "abc…"},
		{"an escaped character is not cut in half", `a\u{202e}bcd`, 9, "a…"},
		{"a doubled backslash is not cut in half", `ab\\cdefg`, 6, "ab…"},
		{"the start of an escape that never ends holds nothing together", `\u{` + strings.Repeat("1", 20), 10, `\u{1111…`},
		{"no room for the ellipsis gives what fits", "abcdef", 2, "ab"},
		{"no room for a character gives nothing", "éa", 1, ""},
		{"no room at all gives nothing", "abc", 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Truncate(tc.in, tc.limit); got != tc.want {
				t.Errorf("Truncate(%q, %d) = %q, want %q", tc.in, tc.limit, got, tc.want)
			}
		})
	}
}

// FuzzEscape shows injectivity by the strongest means: what was escaped can be read back.
func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"", "a.sif", `a\`, `\x1b`, "\x1b", "\xff\\", "\u202e", `\u{202e}`, "\xed\xa0\x80", "\U0010ffff"} {
		f.Add(seed, 8)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		text := Escape(s)
		if back := unescape(t, text); back != s {
			t.Fatalf("Escape(%q) = %s, which reads back as %q", s, text, back)
		}
		for _, r := range text {
			if !unicode.IsPrint(r) {
				t.Fatalf("Escape(%q) contains %U", s, r)
			}
		}
		limit = max(0, min(limit, len(text)+1))
		short := Truncate(text, limit)
		if len(short) > limit || !utf8.ValidString(short) {
			t.Fatalf("Truncate(%q, %d) = %q", text, limit, short)
		}
		unescape(t, strings.TrimSuffix(short, "…"))
	})
}

// unescape reverses Escape and fails the test on text that Escape cannot have written.
func unescape(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	for len(text) > 0 {
		switch {
		case strings.HasPrefix(text, `\\`):
			b.WriteByte('\\')
			text = text[2:]
		case strings.HasPrefix(text, `\x`):
			n, err := strconv.ParseUint(text[2:4], 16, 8)
			if err != nil {
				t.Fatalf("bad escape in %q: %v", text, err)
			}
			b.WriteByte(byte(n))
			text = text[4:]
		case strings.HasPrefix(text, `\u{`):
			digits, rest, closed := strings.Cut(text[3:], "}")
			n, err := strconv.ParseUint(digits, 16, 32)
			if err != nil || !closed {
				t.Fatalf("bad escape in %q: %v", text, err)
			}
			b.WriteRune(rune(n))
			text = rest
		case text[0] == '\\':
			t.Fatalf("a lone backslash in %q", text)
		default:
			_, size := utf8.DecodeRuneInString(text)
			b.WriteString(text[:size])
			text = text[size:]
		}
	}
	return b.String()
}

func TestWhatEscapeMakesIsSafeAndWhatItChangesIsNot(t *testing.T) {
	for _, s := range []string{"", "a b", `a\b`, "Zoë", "\x1b[31m", "\xff", "a\u202eb", "\u00a0", "\u2800", "line\n"} {
		if !Safe(Escape(s)) {
			t.Errorf("Escape(%q) is not safe", s)
		}
		if changed := Escape(s) != strings.ReplaceAll(s, `\`, `\\`); changed == Safe(s) {
			t.Errorf("Safe(%q) = %v", s, Safe(s))
		}
	}
}

func TestAMessageIsEscapedOnce(t *testing.T) {
	for in, want := range map[string]string{
		`begins with the text "a\nb"`: `begins with the text "a\nb"`,
		"caf\u00e9":                   "caf\u00e9",
		"a\x1b[2J \\ b":               `a\x1b[2J \\ b`,
		"\xff":                        `\xff`,
	} {
		if got := Message(in); got != want || Message(got) != got {
			t.Errorf("%q becomes %q and %q, want %q", in, got, Message(got), want)
		}
	}
}
