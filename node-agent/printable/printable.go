// Package printable is the one place where bytes chosen by somebody else (file names, image contents, process
// arguments, engine output) become text that a person reads: on a terminal, in a condition's message, in an Event, as a
// path in a report.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ellipsis marks what Truncate left out. It takes three bytes.
const ellipsis = "…"

// Escape returns s as text that shows every byte and moves no cursor. A printable character stays itself; everything
// else becomes one of
//
//	\\       a backslash
//	\xNN     an ASCII control character, or a byte that is not UTF-8
//	\u{N}    a character one cannot see or that reorders its neighbours: C1 controls, bidirectional and other format
//	         controls, spaces other than ASCII's, variation selectors, fillers, unassigned code points
//
// Two different strings never give the same text, so an escaped path still names one file.
func Escape(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + len(s)/4)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\\':
			b.WriteString(`\\`)
		case r == utf8.RuneError && size == 1, r < utf8.RuneSelf && !visible(r):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !visible(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// Safe reports whether s shows every character it has and moves no cursor: text that Escape made, or that needs no escaping
// but for its backslashes.
func Safe(s string) bool {
	if ascii(s) {
		return true
	}
	for _, r := range s {
		if !visible(r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// Message returns s as text that moves no cursor, and as it is where it does not already: an error quotes names where it is
// made, and escaping that again would double its backslashes. For what must name one thing, such as a path, there is Escape.
func Message(s string) string {
	if Safe(s) {
		return s
	}
	return Escape(s)
}

// ascii reports whether s is printable ASCII, which nearly every text is: asking Unicode's tables for each of its characters was
// a twentieth of what matching an image again takes.
func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// plain reports whether Escape has nothing to do, which holds for nearly every path there is.
func plain(s string) bool { return ascii(s) && strings.IndexByte(s, '\\') < 0 }

// visible reports whether r leaves a mark where it stands. unicode.IsPrint already refuses controls (Cc), format
// characters such as the bidirectional overrides (Cf), and all spaces but one; it accepts letters and marks that Unicode
// itself calls ignorable, and a blank Braille cell, with which two names can be made to look alike.
func visible(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.IsPrint(r) && r != brailleBlank &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Truncate shortens escaped text to at most limit bytes, the ellipsis that marks the cut included. It cuts neither a
// character nor an escape sequence in half. A limit too small for the ellipsis gives what fits without it.
func Truncate(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	if limit < len(ellipsis) {
		return s[:boundary(s, limit)]
	}
	return s[:boundary(s, limit-len(ellipsis))] + ellipsis
}

// boundary returns the largest offset of at most limit at which no character and no escape sequence of s is open.
func boundary(s string, limit int) int {
	end := 0
	for end < len(s) {
		next := end + unit(s[end:])
		if next > limit {
			break
		}
		end = next
	}
	return end
}

// unit returns the length of the character or escape sequence that s, which is not empty, begins with.
func unit(s string) int {
	switch {
	case strings.HasPrefix(s, `\\`):
		return 2
	case strings.HasPrefix(s, `\x`) && len(s) >= 4:
		return 4
	case strings.HasPrefix(s, `\u{`):
		// The longest is \u{10ffff}: text that merely looks like the start of one is not held together.
		const longest = len(`\u{10ffff}`)
		if closing := strings.IndexByte(s[:min(len(s), longest)], '}'); closing > 0 {
			return closing + 1
		}
	}
	_, size := utf8.DecodeRuneInString(s)
	return size
}
