package engine

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	tests := []struct {
		name  string
		in    string
		limit int
		want  string
	}{
		{"text that fits stays as it is", "zlib1g 1:1.2.13", 15, "zlib1g 1:1.2.13"},
		{"longer text ends in an ellipsis", "abcdefgh", 6, "abc…"},
		{"what cannot be printed is shown", "\x1b[2J\xff", 20, `\x1b[2J\xff`},
		{"a character at the cut is not taken for a broken one", strings.Repeat("é", 40), 8, "éé…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Text(tt.in, tt.limit); got != tt.want {
				t.Errorf("Text(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
			}
		})
	}
}
