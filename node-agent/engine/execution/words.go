package execution

import (
	"regexp"
	"strings"
)

// A Go program that crashes writes why, then its goroutines, and ends with exit code 2 (package runtime, "Environment
// Variables"), which other programs give to a wrong command line.
var (
	crash     = regexp.MustCompile(`(?m)^(panic: |fatal error: |SIG[A-Z]+: ).*$`)
	goroutine = regexp.MustCompile(`(?m)^goroutine [0-9]`)
)

// Said returns the line that tells best why the program failed, and whether it is that of a crashed Go program: else it is the
// last one. It is redacted and not escaped, and all space in it is blanks; empty when the program said nothing.
func (o Outcome) Said() (line string, crashed bool) {
	line, crashed = o.telling()
	return strings.Join(strings.Fields(line), " "), crashed
}

func (o Outcome) telling() (line string, crashed bool) {
	if at := goroutine.FindStringIndex(o.Stderr); at != nil {
		if line = crash.FindString(o.Stderr[:at[0]]); line != "" {
			return line, true
		}
	}
	for _, text := range []string{o.Stderr, o.Stdout} {
		text = strings.TrimSpace(text)
		if text != "" {
			return text[strings.LastIndexByte(text, '\n')+1:], false
		}
	}
	return "", false
}
