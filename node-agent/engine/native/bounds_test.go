package native

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// zeros is an endless text that deflates a thousand to one.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// bomb returns an archive with an entry of size bytes.
func bomb(t testing.TB, name string, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatWouldUseMemoryWithoutBoundIsNamedAndNotRead(t *testing.T) {
	const big = maxManifest + 1
	manifest := bomb(t, "META-INF/MANIFEST.MF", big)
	hugeDirectory := append(bytes.Repeat([]byte("PK\x01\x02aaaaaaaaaaaa"), maxDirectory/16+1), archiveOf(t)...)
	tests := []struct {
		name    string
		file    string
		content []byte
		message string
	}{
		{"a manifest that unpacks without end", "a.jar", manifest, "MANIFEST.MF in it unpacks to 4194305 bytes"},
		{"such a manifest in an archive inside", "a.war", archiveOf(t, "WEB-INF/lib/b.jar", string(manifest)), "b.jar: MANIFEST.MF in it"},
		{"wheel metadata that unpacks without end", "a.whl", bomb(t, "a.dist-info/METADATA", big), "METADATA in it unpacks"},
		{"Python metadata of a hundred megabytes", "a.dist-info/METADATA", make([]byte, maxText+1), "the limit is"},
		{"an archive whose archives unpack without end", "a.ear", claiming(archiveOf(t, "b.jar", "x"), maxArchive+1), "the archives in it unpack to more than"},
		{"an archive with a million entries", "a.jar", hugeDirectory, "its list of files is longer"},
		{"a lock file of brackets", "Cargo.lock", []byte("a = " + strings.Repeat("[", 2*maxBrackets)), "nests deeper than 1000"},
		{"crates that unpack without end", "usr/bin/tool", elfWithSection(cargoSection, deflate(t, make([]byte, maxCargoList+1))), "unpacks to more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := debianTree()
			root[tt.file] = &fstest.MapFile{Data: tt.content, Mode: 0o755}
			result := mustScan(t, engine.Target{Root: root.fs()})
			if len(result.Packages) != 0 || !warned(result, tt.file, tt.message) {
				t.Errorf("packages %v, warnings %v", result.Packages, result.Warnings)
			}
		})
	}
}

// claiming returns the archive with another unpacked size in its directory.
func claiming(archive []byte, size uint32) []byte {
	at := bytes.Index(archive, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(archive[at+24:], size)
	return archive
}

func warned(r *engine.Result, path, message string) bool {
	for _, w := range r.Warnings {
		if w.Path == path && strings.Contains(w.Message, message) {
			return true
		}
	}
	return false
}
