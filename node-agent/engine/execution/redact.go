package execution

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// redacted stands where a secret stood.
const redacted = "[redacted]"

// fragment is how many characters in a row of a secret, in any encoding, are taken for the secret: text is cut in places that
// nobody chose, and half a token is still half a token.
const fragment = 12

// Redactor removes secrets, and their usual encodings, from text. A nil Redactor removes nothing.
type Redactor struct {
	encodings []string
	fragments map[string]bool
	lengths   []int // of the keys of fragments, each once
}

// NewRedactor returns a Redactor for secrets; empty ones are passed over.
func NewRedactor(secrets ...string) *Redactor {
	r := &Redactor{fragments: map[string]bool{}}
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		for _, e := range encodings(secret) {
			r.add(e)
		}
	}
	return r
}

func (r *Redactor) add(encoded string) {
	n := min(fragment, len(encoded))
	if n == 0 {
		return
	}
	r.encodings = append(r.encodings, encoded)
	known := false
	for _, l := range r.lengths {
		known = known || l == n
	}
	if !known {
		r.lengths = append(r.lengths, n)
	}
	for i := 0; i+n <= len(encoded); i++ {
		r.fragments[encoded[i:i+n]] = true
	}
}

// encodings are the forms in which programs print what they hold.
func encodings(secret string) []string {
	quoted, _ := json.Marshal(secret) // of a string: never fails
	forms := []string{
		secret,
		string(quoted[1 : len(quoted)-1]),
		hex.EncodeToString([]byte(secret)),
		strings.ToUpper(hex.EncodeToString([]byte(secret))),
		url.QueryEscape(secret),
		url.PathEscape(secret),
	}
	for _, form := range []string{"%%%02x", "%%%02X", `\x%02x`, `\u%04x`} {
		var b strings.Builder
		for i := range len(secret) {
			fmt.Fprintf(&b, form, secret[i])
		}
		forms = append(forms, b.String())
	}
	for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			forms = append(forms, inside(alphabet, secret, shift))
		}
	}
	return forms
}

// inside is what base64 makes of the secret when shift bytes (modulo 3) stand before it, such as a user's name, without the
// characters that depend on its neighbours.
func inside(alphabet *base64.Encoding, secret string, shift int) string {
	text := alphabet.EncodeToString(append(make([]byte, shift), secret...))
	first := (shift*8 + 5) / 6
	last := (shift + len(secret)) * 8 / 6
	return text[first:max(first, last)]
}

// Text returns s without the secrets and without any part of them of twelve characters.
func (r *Redactor) Text(s string) string {
	if r == nil || len(r.encodings) == 0 {
		return s
	}
	var b strings.Builder
	kept := 0 // everything before is written or redacted
	for i := 0; i < len(s); i++ {
		end := r.match(s, i)
		if end == 0 {
			continue
		}
		for next := i + 1; next < end; next++ { // fragments of one secret overlap
			end = max(end, r.match(s, next))
		}
		b.WriteString(s[kept:i])
		b.WriteString(redacted)
		kept, i = end, end-1
	}
	b.WriteString(s[kept:])
	return b.String()
}

// match returns the end of the fragment that begins at i, or 0.
func (r *Redactor) match(s string, i int) int {
	for _, n := range r.lengths {
		if i+n <= len(s) && r.fragments[s[i:i+n]] {
			return i + n
		}
	}
	return 0
}

// Bytes returns b without the secrets. It looks for whole ones: documents are not cut.
func (r *Redactor) Bytes(b []byte) []byte {
	if r == nil {
		return b
	}
	for _, e := range r.encodings {
		if bytes.Contains(b, []byte(e)) {
			b = bytes.ReplaceAll(b, []byte(e), []byte(redacted))
		}
	}
	return b
}
