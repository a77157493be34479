package execution

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestNoFormOfASecretIsLeft(t *testing.T) {
	const secret = `ey/JhbGci+OiJSU=zI1.NiIs"InR5cCI_6IkpX-VCJ9`
	r := NewRedactor(secret, "")
	forms := map[string]string{
		"plain":                  secret,
		"in a header":            "Authorization: Bearer " + secret,
		"quoted":                 fmt.Sprintf("%q", secret),
		"hexadecimal":            hex.EncodeToString([]byte(secret)),
		"upper-case hexadecimal": fmt.Sprintf("%X", secret),
		"in a query":             "?token=" + url.QueryEscape(secret),
		"in a path":              url.PathEscape(secret),
		"its beginning":          secret[:20],
		"its end":                secret[15:],
		"twice":                  secret + secret,
	}
	for _, user := range []string{"", "u", "us", "use", "user"} {
		forms["base64 after "+user] = base64.StdEncoding.EncodeToString([]byte(user + secret + "tail"))
		forms["URL-safe base64 after "+user] = base64.RawURLEncoding.EncodeToString([]byte(user + secret))
	}
	for name, text := range forms {
		t.Run(name, func(t *testing.T) {
			got := r.Text("before " + text + " after")
			if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") || !strings.Contains(got, redacted) {
				t.Errorf("%q became %q", text, got)
			}
			for i := 0; i+fragment <= len(text); i++ {
				if part := text[i : i+fragment]; strings.Contains(got, part) && len(r.Text(part)) != len(part) {
					t.Fatalf("%q is left in %q", part, got)
				}
			}
		})
	}
}

func TestOtherTextStaysAsItIs(t *testing.T) {
	r := NewRedactor("a-token-of-some-length")
	for _, text := range []string{"", "nothing to see", "a-token", strings.Repeat("x", 100_000)} {
		if got := r.Text(text); got != text {
			t.Errorf("%.40q became %.40q", text, got)
		}
	}
	if got := (*Redactor)(nil).Text("text"); got != "text" {
		t.Errorf("a nil redactor made %q", got)
	}
}

func TestDocumentsAreRedactedToo(t *testing.T) {
	r := NewRedactor("a-token-of-some-length")
	if got := string(r.Bytes([]byte(`{"env": "a-token-of-some-length", "n": 1}`))); got != `{"env": "[redacted]", "n": 1}` {
		t.Errorf("got %s", got)
	}
}
