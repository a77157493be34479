// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable returns at most limit bytes of text that a pod, a kubelet or a user wrote, safe to
// print: what is not printable becomes an escape, so that no terminal sequence and no
// bidirectional override reaches a person through a condition.
func printable(s string, limit int) string {
	const ellipsis = "…"
	var b strings.Builder
	cut := 0 // where the text can end and still have room for the ellipsis
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+size]
		switch {
		case r == utf8.RuneError && size == 1:
			piece = fmt.Sprintf(`\x%02x`, s[i])
		case r == '\n' || r == '\t':
			piece = " "
		case !unicode.IsPrint(r):
			piece = fmt.Sprintf(`\u{%x}`, r)
		}
		if b.Len()+len(ellipsis) <= limit {
			cut = b.Len()
		}
		if b.Len()+len(piece) > limit {
			return b.String()[:cut] + ellipsis
		}
		b.WriteString(piece)
		i += size
	}
	return b.String()
}
