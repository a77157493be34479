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

// documents are the documents of a scan that have an official schema, by the names of their files.
var documents = map[string]struct{ folder, schema string }{
	"sbom.spdx.json": {"spdx", "spdx-schema-2.3.json"},
	"sbom.cdx.json":  {"cyclonedx", "bom-1.6.schema.json"},
	"report.sarif":   {"sarif", "sarif-schema-2.1.0.json"},
}

// Check fails the test for each of a scan's documents, by the name of its file, that its official schema refuses.
func Check(t testing.TB, made map[string][]byte) {
	t.Helper()
	for name, text := range made {
		if d, ok := documents[name]; ok {
			if err := Compile(t, d.folder, d.schema).Validate(t, text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
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
