// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"encoding/json"
	"strings"
	"testing"
)

// whole reads a text that is one value of any kind.
func whole(text string) (string, error) {
	r := New([]byte(text))
	value, err := r.Skip()
	if err == nil {
		err = r.End()
	}
	return value, err
}

func TestWhatIsJSONIsReadAndWhatIsNotIsRefused(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `null`, `true`, `false`, `""`, `0`, `-0`, `12.50`, `1e9`, `-1.5E-3`, ` [ 1 , {"a" : [ ] } ] `,
		`"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`, `"é日"`,
	} {
		if value, err := whole(text); err != nil || !json.Valid([]byte(text)) || value != strings.TrimSpace(text) {
			t.Errorf("%s: %q, %v", text, value, err)
		}
	}
	for _, text := range []string{
		``, ` `, `{`, `[`, `]`, `}`, `[1`, `[1,`, `[1,]`, `[,]`, `[1 2]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1 "b":2}`, `{1:2}`,
		`nul`, `True`, `01`, `-`, `1.`, `.5`, `1e`, `1e+`, `+1`, `0x1`, `NaN`, `"`, `"a`, `"\`, `"\"`, `"\x"`, `"\u12"`, "\"\x01\"", "\"\\n\x01\"", "\"\xff\"", `"\ud83d alone"`, "\"\\n\xff\"",
		`{} {}`, `1 1`, `"a""b"`, "\x00", `//`,
	} {
		if value, err := whole(text); err == nil {
			t.Errorf("%q was read as %q", text, value)
		}
	}
}

func TestTextsAreWhatEncodingJSONReads(t *testing.T) {
	for _, text := range []string{`""`, `"plain"`, `"é日"`, `"a\"b\\c\/d\n\u00e9\ud83d\ude00"`} {
		var want string
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if got, err := New([]byte(text)).String(); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	if got, err := New([]byte("null")).String(); err == nil {
		t.Errorf("null is the text %q", got)
	}
}

func TestMembersAndItemsComeInTheirOrder(t *testing.T) {
	var said []string
	r := New([]byte(`{"b": [1, "x", null], "a": null, "b": {}}`))
	err := r.Object(func(name string) error {
		said = append(said, name)
		if name == "a" {
			present, err := r.List(nil)
			if present {
				t.Error("null is a list")
			}
			return err
		}
		if len(said) > 1 {
			value, err := r.Skip()
			said = append(said, value)
			return err
		}
		_, err := r.List(func() error {
			value, err := r.Skip()
			said = append(said, value)
			return err
		})
		return err
	})
	if got := strings.Join(said, " "); err != nil || got != `b 1 "x" null a b {}` || r.End() != nil {
		t.Errorf("%s, %v", got, err)
	}
}
