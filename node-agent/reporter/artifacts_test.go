// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
)

// resultOf is a result folder that holds one document.
func resultOf(t *testing.T, name string, content []byte) *handover.Result {
	t.Helper()
	results, state := t.TempDir(), t.TempDir()
	if err := handover.WriteResult(results, "a", map[string][]byte{name: content}); err != nil {
		t.Fatal(err)
	}
	hand, err := handover.OpenReporter(results, state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hand.Close() })
	result, err := hand.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { result.Close() })
	return result
}

func TestADocumentIsHeldWhereItFitsAndMeasuredWhereItDoesNot(t *testing.T) {
	random := make([]byte, 3*maxConfigMap)
	if _, err := rand.NewChaCha8([32]byte{}).Read(random); err != nil {
		t.Fatal(err)
	}
	const name = "sbom.spdx.json"
	a := v1alpha1.Artifact{Name: name}
	p, err := pack(resultOf(t, name, random), &a)
	if err != nil {
		t.Fatal(err)
	}
	if p.size <= int64(len(random)) || len(p.bytes) > maxConfigMap || a.SizeBytes != int64(len(random)) {
		t.Errorf("%d bytes are held of %d; the document has %d", len(p.bytes), p.size, a.SizeBytes)
	}

	text := bytes.Repeat([]byte("package "), maxConfigMap)
	if p, err = pack(resultOf(t, name, text), &a); err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(p.bytes))
	if err != nil {
		t.Fatal(err)
	}
	if back, err := io.ReadAll(zip); err != nil || !bytes.Equal(back, text) || p.size != int64(len(p.bytes)) {
		t.Errorf("%d bytes came back: %v", len(back), err)
	}
}
