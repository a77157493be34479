// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schemas holds the official schemas of the documents a scan writes, for tests.
package schemas

import (
	"bytes"
	"embed"
	"path"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed */*.json
var files embed.FS

// Schema checks documents.
type Schema struct{ compiled *jsonschema.Schema }

// Compile compiles a schema of a folder together with those beside it that it refers to. Formats,
// such as that of a URI, are checked too.
func Compile(t testing.TB, folder, name string) Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	entries, err := files.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var url string
	for _, entry := range entries {
		text, err := files.ReadFile(path.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		doc := decode(t, text)
		id, ok := doc.(map[string]any)["$id"].(string)
		if !ok { // draft 4
			id = doc.(map[string]any)["id"].(string)
		}
		if err := c.AddResource(id, doc); err != nil {
			t.Fatal(err)
		}
		if entry.Name() == name {
			url = id
		}
	}
	compiled, err := c.Compile(url)
	if err != nil {
		t.Fatal(err)
	}
	return Schema{compiled}
}

// Validate says in what way a document is not as the schema wants it.
func (s Schema) Validate(t testing.TB, document []byte) error {
	t.Helper()
	return s.compiled.Validate(decode(t, document))
}

func decode(t testing.TB, text []byte) any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
