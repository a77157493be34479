package native

import (
	"bytes"
	"fmt"
	"io"
)

// maxBrackets bounds how deep a TOML file may nest. The TOML parser descends one call a bracket: sixteen million of them
// overflow Go's stack, and that ends the process; it cannot be recovered from.
const maxBrackets = 1000

// checkTOML refuses files that nest too deep. Brackets in strings are counted too; no lock file has a thousand of them open.
func checkTOML(_ string, r io.ReaderAt, size int64) error {
	text, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	if err != nil {
		return err
	}
	depth := 0
	for len(text) > 0 {
		i := bytes.IndexAny(text, "[]{}")
		if i < 0 {
			break
		}
		if text[i] == '[' || text[i] == '{' {
			depth++
		} else {
			depth = max(0, depth-1)
		}
		if depth > maxBrackets {
			return fmt.Errorf("it nests deeper than %d brackets", maxBrackets)
		}
		text = text[i+1:]
	}
	return nil
}
