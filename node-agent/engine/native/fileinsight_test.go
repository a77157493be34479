package native

import (
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/rpmdb/rpmdbtest"
)

func unownedFiles(t testing.TB, root tree) insightReport {
	t.Helper()
	result := mustScan(t, engine.Target{
		Root: root.fs(), ScanTypes: []engine.ScanType{engine.ScanPackages, engine.ScanFileInsight}, Formats: []engine.Format{engine.FormatJSON},
	})
	var document struct {
		UnownedFiles insightReport `json:"unownedFiles"`
	}
	if err := json.Unmarshal(result.Documents[engine.InventoryFile], &document); err != nil {
		t.Fatal(err)
	}
	return document.UnownedFiles
}

func TestFilesNobodyOwnsAreCountedByDirectoryAndExecutablesListed(t *testing.T) {
	root := newTree().
		file("var/lib/dpkg/status", "Package: bash\nStatus: install ok installed\nVersion: 5\n\n").
		file("var/lib/dpkg/info/bash.list", "/bin/bash\n/var/lib/dpkg/status\n/var/lib/dpkg/info/bash.list\n").
		executable("usr/bin/bash", []byte("\x7fELF")).
		executable("opt/tool/bin/tool", []byte("\x7fELFxxxx")).
		file("opt/tool/bin/data/deep/x", "123").
		executable("opt/run.sh", []byte("#!/bin/sh\n")).
		executable("README", []byte("x"))
	want := insightReport{
		Files: 4, Bytes: 8 + 3 + 10 + 1, Executables: 3,
		Directories: []*insightDir{
			{Path: ".", Files: 1, Bytes: 1, Executables: 1},
			{Path: "opt", Files: 1, Bytes: 10, Executables: 1},
			{Path: "opt/tool/bin", Files: 2, Bytes: 11, Executables: 1},
		},
		Listed: []*insightFile{
			{Path: "README", Bytes: 1, Mode: "-rwxr-xr-x", Kind: "other"},
			{Path: "opt/run.sh", Bytes: 10, Mode: "-rwxr-xr-x", Kind: "script"},
			{Path: "opt/tool/bin/tool", Bytes: 8, Mode: "-rwxr-xr-x", Kind: "elf"},
		},
	}
	if diff := cmp.Diff(want, unownedFiles(t, root)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestEveryPackageManagerOwnsItsFiles(t *testing.T) {
	rpm := rpmdbtest.BDB(binary.LittleEndian, rpmdbtest.Package{Name: "x", Version: "1", Files: []string{"/usr/bin/x", "/var/lib/rpm/Packages"}})
	tests := []struct {
		name string
		root tree
	}{
		{"rpm", newTree().file("usr/bin/x", "x").file("var/lib/rpm/Packages", string(rpm))},
		{"apk", newTree().file("bin/x", "x").file("lib/apk/db/installed", "P:x\nV:1\nF:bin\nR:x\nF:lib/apk/db\nR:installed\n\n")},
		{"npm", newTree().file("node_modules/x/package.json", `{"name":"x","version":"1"}`).file("node_modules/x/lib/index.js", "x")},
		{"R", newTree().file("lib/R/x/DESCRIPTION", "Package: x\nVersion: 1\nBuilt: R 4\n").file("lib/R/x/R/x.rdb", "x")},
		{"gem", newTree().file("gems/specifications/x-1.gemspec", "Gem::Specification.new do |s|\n  s.name = \"x\"\n  s.version = \"1\"\nend\n").file("gems/gems/x-1/lib/x.rb", "x")},
		{"spack", newTree().file("opt/x-1/.spack/spec.json", `{"spec":{"nodes":[{"name":"x","version":"1"}]}}`).file("opt/x-1/bin/x", "x")},
		{"Python", newTree().file("lib/x-1.dist-info/METADATA", "Name: x\nVersion: 1\n\n").file("lib/x-1.dist-info/RECORD", "x/__init__.py,sha256=0,1\n\"x/odd.py\",,\n../bin/x,,\n").
			file("lib/x/__init__.py", "x").file("lib/x/odd.py", "x").file("bin/x", "x")},
		{"conda", newTree().file("opt/conda-meta/x-1.json", `{"name":"x","version":"1","files":["bin/x","conda-meta/x-1.json"]}`).file("opt/bin/x", "x")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := unownedFiles(t, tt.root); got.Files != 0 {
				t.Errorf("%d files nobody owns, in %+v", got.Files, got.Directories[0])
			}
		})
	}
}
