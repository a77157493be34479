package engine

import (
	"unicode/utf8"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// Text returns text from an image as it may be printed, put into JSON and sent to the API: escaped, and at most limit bytes
// long. Escaping never shortens, so what cannot be part of the result is not looked at.
func Text(s string, limit int) string {
	return printable.Truncate(printable.Escape(s[:min(len(s), limit+utf8.UTFMax)]), limit)
}
