// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package jsonwriter

import (
	"encoding/json"
	"testing"
)

func TestStructureAndIndentationAreThoseOfEncodingJSON(t *testing.T) {
	for indent, want := range map[string]string{
		"":  `{"a":"<x> \"\\","list":[1,[],{}],"b":1.5}`,
		" ": "{\n  \"a\": \"<x> \\\"\\\\\",\n  \"list\": [\n   1,\n   [],\n   {}\n  ],\n  \"b\": 1.5\n }",
	} {
		w := Writer{Prefix: indent, Indent: indent}
		w.Grow(16)
		w.Begin('{')
		w.Member("a", `<x> "\`)
		w.Optional("none", "")
		w.Name("list")
		w.Begin('[')
		w.Int(1)
		w.Begin('[')
		w.End(']')
		w.Begin('{')
		w.End('}')
		w.End(']')
		w.Name("b")
		w.Value(1.5)
		w.End('}')
		if got, err := w.Text(); err != nil || string(got) != want {
			t.Errorf("%v\n%s\nwant\n%s", err, got, want)
		}
	}
}

func TestNumbersAreThoseOfEncodingJSON(t *testing.T) {
	for _, f := range []float64{0, 9.8, -1.5, 10, 1e-6, 1e-7, 123456789, 1e20, 1e21, -1e21} {
		var w Writer
		w.Float(f)
		want, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := w.Text(); err != nil || string(got) != string(want) {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
}

func TestAnObjectIsOpenedForMoreMembers(t *testing.T) {
	for want, opened := range map[string]any{
		`{"a":1,"b":"c"}`: map[string]int{"a": 1},
		`{"b":"c"}`:       struct{}{},
	} {
		var w Writer
		w.Open(opened)
		w.Member("b", "c")
		w.End('}')
		if got, err := w.Text(); err != nil || string(got) != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
	for _, none := range []any{1, []int{1}, func() {}} {
		var w Writer
		w.Open(none)
		if _, err := w.Text(); err == nil {
			t.Errorf("%T was opened", none)
		}
	}
}
