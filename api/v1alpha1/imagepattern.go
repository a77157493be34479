// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxImagePattern of an image pattern in bytes.
const maxImagePattern = 1024

// ParseImagePattern parses the glob of RunningTarget.ImagePattern. Since an image is known by a part of its path, * also means /; a
// pattern without a * at its ends matches a whole path. An error says what to change, and not what the pattern is.
func ParseImagePattern(glob string) (*regexp.Regexp, error) {
	if len(glob) > maxImagePattern {
		return nil, fmt.Errorf("it is longer than %d bytes", maxImagePattern)
	}
	if !utf8.ValidString(glob) {
		return nil, errors.New(`it is no UTF-8: write other bytes as paths are shown, such as \xff`)
	}
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for glob != "" {
		char, rest := glob[:1], glob[1:]
		switch char {
		case "*":
			b.WriteString(`.*`)
		case "?":
			b.WriteByte('.')
		case "[":
			class, after, ok := strings.Cut(rest, "]")
			if !ok || class == "" {
				return nil, errors.New("a [ has no ]: close it, as in [a-z], or write [[] for the character itself")
			}
			negated := ""
			if class[0] == '!' || class[0] == '^' {
				negated, class = "^", class[1:]
			}
			b.WriteString("[" + negated + strings.ReplaceAll(regexp.QuoteMeta(class), `\-`, "-") + "]")
			rest = after
		default:
			b.WriteString(regexp.QuoteMeta(char))
		}
		glob = rest
	}
	b.WriteString(`\z`)
	pattern, err := regexp.Compile(b.String())
	if err != nil {
		return nil, errors.New("what is between [ and ] is no set of characters: write them one by one, or as a range such as a-z")
	}
	return pattern, nil
}
