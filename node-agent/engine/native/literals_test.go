package native

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestEveryLiteralIsFoundWhereverItStands(t *testing.T) {
	for i, rule := range secretRules {
		for _, literal := range rule.literals {
			if len(literal) < 3 {
				t.Errorf("%s: a literal of less than three bytes", literal)
			}
			for before := range 20 {
				for after := range 4 {
					text := strings.Repeat("x", before) + literal + strings.Repeat("y", after)
					if secretLiterals.in([]byte(text))&(1<<i) == 0 {
						t.Errorf("%q is not found in %q", literal, text)
					}
					if cut := text[:before+len(literal)-1]; secretLiterals.in([]byte(cut))&(1<<i) != 0 {
						t.Errorf("%q is found in %q", literal, cut)
					}
				}
			}
		}
	}
	if len(secretRules) > 64 {
		t.Error("more rules than bits")
	}
}

// sources is a text like program code: words, names with underscores, indentation.
func sources(size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"return", "self", "config", "the_value", "import", "if", "x", "get_name()", "==", "None", "\n    ", "\n", "--", "A", "HTTP_OK", "3.14"}
	var b bytes.Buffer
	for b.Len() < size {
		b.WriteString(words[random.IntN(len(words))])
		b.WriteByte(' ')
	}
	return b.Bytes()[:size]
}

func BenchmarkLiterals(b *testing.B) {
	text := sources(1 << 20)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if secretLiterals.in(text) != 0 {
			b.Fatal("found")
		}
	}
}
