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
		last := i+size == len(s)
		if b.Len()+len(piece) > limit || !last && b.Len()+len(piece)+len(ellipsis) > limit {
			b.WriteString(ellipsis)
			break
		}
		b.WriteString(piece)
		i += size
	}
	return b.String()
}
