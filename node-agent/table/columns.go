// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// lineWidth is what a line takes at most where the data allow it: terminals have 120 columns and more.
const lineWidth = 120

// gap between columns.
const gap = "  "

// column is as wide as its widest cell, and at most as wide as most; a cell that is wider still
// is not cut but moves the rest of its line. The last column takes what is left.
type column struct {
	title string
	most  int
}

type columns []column

// write writes the title and the rows.
func (c columns) write(b *bytes.Buffer, rows [][]string) {
	widths := make([]int, len(c))
	titles := make([]string, len(c))
	for i, column := range c {
		titles[i] = column.title
		widths[i] = len(column.title)
		for _, row := range rows {
			if w := columnsOf(row[i]); w > widths[i] && w <= column.most {
				widths[i] = w
			}
		}
	}
	c.line(b, widths, titles)
	for _, row := range rows {
		c.line(b, widths, row)
	}
}

func (c columns) line(b *bytes.Buffer, widths []int, row []string) {
	used, last := 0, len(c)-1
	for i, cell := range row[:last] {
		w := columnsOf(cell)
		fill := max(widths[i]-w, 0)
		b.WriteString(cell)
		b.WriteString(strings.Repeat(" ", fill) + gap)
		used += w + fill + len(gap)
	}
	// A path says most at its end. Below forty columns it would say nothing.
	const least = 40
	b.WriteString(end(row[last], max(lineWidth-used, least)))
	b.WriteByte('\n')
}

// end is the end of a text that is too wide, with a mark for what is missing.
func end(s string, most int) string {
	if columnsOf(s) <= most {
		return s
	}
	for i := range s {
		// An escape sequence that is cut in half would read as other text: slashes are never part of one.
		if s[i] == '/' && columnsOf(s[i:]) < most {
			return "…" + s[i:]
		}
	}
	return printable.Truncate(s, most)
}

// columnsOf is how many columns of a terminal a printable text takes.
func columnsOf(s string) (n int) {
	for _, r := range s {
		switch k := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case k == width.EastAsianWide || k == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// wrap writes a paragraph whose further lines are indented.
func wrap(b *bytes.Buffer, text string) {
	used := 0
	for i, word := range strings.Fields(text) {
		w := columnsOf(word)
		switch {
		case i == 0:
		case used+1+w > lineWidth:
			b.WriteString("\n  ")
			used = 2
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += w
	}
	b.WriteByte('\n')
}
