package native

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// tree is an image's root file system in memory. Methods return the tree, so that images read like sentences.
type tree fstest.MapFS

func newTree() tree { return tree{} }

func debianTree() tree {
	return newTree().file("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n")
}

func (f tree) file(name, text string) tree {
	f[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	return f
}

func (f tree) executable(name string, data []byte) tree {
	f[name] = &fstest.MapFile{Data: data, Mode: 0o755}
	return f
}

func (f tree) fs() fstest.MapFS { return fstest.MapFS(f) }

// sif makes a SIF of the tree and opens its root file system in place.
func (f tree) sif(t testing.TB) rootfs.FS {
	t.Helper()
	dir := t.TempDir()
	squashfs, sif := filepath.Join(dir, "a.sqfs"), filepath.Join(dir, "a.sif")
	tree := fixtures.NewTree(filepath.Join(dir, "tree"))
	for name, file := range f {
		tree.File(name, string(file.Data)).Mode(name, file.Mode)
	}
	if err := errors.Join(tree.Done(), fixtures.Squashfs{}.Make(tree.Root, squashfs), fixtures.NewSIF("amd64").System(squashfs).Write(sif)); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(sif)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() }) //nolint:errcheck // opened for reading
	image, err := rootfs.OpenFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root, err := image.FS(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// created is the time all test documents carry.
var created = time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC)

// archiveOf returns a zip file. Names and texts alternate, so that the order in the file is the order in the test.
func archiveOf(t testing.TB, namesAndTexts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(namesAndTexts); i += 2 {
		f, err := w.Create(namesAndTexts[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(namesAndTexts[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// elfWithSection returns a 64-bit ELF file with one section of the name, loaded at the address that equals its offset.
func elfWithSection(name string, content []byte) []byte {
	le := binary.LittleEndian
	names := append(append([]byte("\x00.shstrtab\x00"), name...), 0)
	const headerSize, programSize, sectionSize = 64, 56, 64
	namesAt := headerSize + programSize
	contentAt := (namesAt + len(names) + 15) &^ 15
	tableAt := (contentAt + len(content) + 7) &^ 7
	file := make([]byte, tableAt+3*sectionSize)
	copy(file, "\x7fELF\x02\x01\x01")
	le.PutUint16(file[16:], 2)  // executable
	le.PutUint16(file[18:], 62) // x86-64
	le.PutUint32(file[20:], 1)
	le.PutUint64(file[32:], headerSize)
	le.PutUint64(file[40:], uint64(tableAt))
	le.PutUint16(file[52:], headerSize)
	le.PutUint16(file[54:], programSize)
	le.PutUint16(file[56:], 1)
	le.PutUint16(file[58:], sectionSize)
	le.PutUint16(file[60:], 3)
	le.PutUint16(file[62:], 1)
	load := file[headerSize:]
	le.PutUint32(load, 1)     // load
	le.PutUint32(load[4:], 6) // readable, writable
	le.PutUint64(load[32:], uint64(len(file)))
	le.PutUint64(load[40:], uint64(len(file)))
	copy(file[namesAt:], names)
	copy(file[contentAt:], content)
	section := func(i int, nameAt, kind uint32, at, size int) {
		s := file[tableAt+i*sectionSize:]
		le.PutUint32(s, nameAt)
		le.PutUint32(s[4:], kind)
		le.PutUint64(s[16:], uint64(at))
		le.PutUint64(s[24:], uint64(at))
		le.PutUint64(s[32:], uint64(size))
		le.PutUint64(s[48:], 1)
	}
	section(1, 1, 3, namesAt, len(names))
	section(2, uint32(len("\x00.shstrtab\x00")), 1, contentAt, len(content))
	return file
}

// goBinary returns a binary with Go's build information (debug/buildinfo), modules as "path version".
func goBinary(goVersion, main string, modules ...string) []byte {
	const sentinel = "sixteen bytes, X" // the linker puts sixteen bytes before and after
	info := sentinel + "path\t" + main + "\nmod\t" + main + "\t(devel)\t\n"
	for _, module := range modules {
		info += "dep\t" + strings.ReplaceAll(module, " ", "\t") + "\th1:0000\n"
	}
	info += sentinel
	const inline = 2
	data := append([]byte("\xff Go buildinf:"), 8, inline)
	data = append(data, make([]byte, 16)...)
	for _, text := range []string{goVersion, info} {
		data = append(binary.AppendUvarint(data, uint64(len(text))), text...)
	}
	return elfWithSection(".go.buildinfo", data)
}

// auditable returns a binary as cargo-auditable makes it.
func auditable(t testing.TB, packages ...cargoPackage) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"packages": packages})
	if err != nil {
		t.Fatal(err)
	}
	return elfWithSection(cargoSection, deflate(t, text))
}

func deflate(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
