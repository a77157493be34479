package printable

import "strings"

// maxFileName leaves room in the 255 bytes of a name for what callers add to make it unique.
const maxFileName = 100

// FileName returns a name for a file or folder that resembles s and that every shell and file system takes: at most 100
// letters, digits, dots, underscores and dashes, at least one of them, no dot first. Different s can give one name.
func FileName(s string) string {
	clean := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
			return c
		}
		return '_'
	}, s)
	clean = strings.TrimLeft(clean, ".")
	if len(clean) > maxFileName {
		clean = clean[:maxFileName]
	}
	if clean == "" {
		clean = "_"
	}
	return clean
}
