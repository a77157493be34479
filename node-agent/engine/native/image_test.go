package native_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// openSIF makes a SIF of the tree and opens its root file system in place.
func openSIF(t *testing.T, fill func(*fixtures.Tree)) rootfs.FS {
	t.Helper()
	dir := t.TempDir()
	squashfs, sif := filepath.Join(dir, "a.sqfs"), filepath.Join(dir, "a.sif")
	tree := fixtures.NewTree(filepath.Join(dir, "tree")).With(fill)
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

func scanSIF(t *testing.T, fill func(*fixtures.Tree)) *engine.Result {
	t.Helper()
	e, err := native.New()
	if err != nil {
		t.Fatal(err)
	}
	result, err := e.Scan(context.Background(), engine.Target{Root: openSIF(t, fill), DisplayName: "/shared/a.sif", CreatedAt: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestARealSIFIsScannedInPlaceWithoutATemporaryFile(t *testing.T) {
	root := openSIF(t, func(tree *fixtures.Tree) { tree.With(fixtures.Debian).With(fixtures.Python).With(fixtures.Node) })
	t.Setenv("TMPDIR", "/nowhere") // a pod of the native engine has a read-only root file system and no /tmp

	e, err := native.New()
	if err != nil {
		t.Fatal(err)
	}
	result, err := e.Scan(context.Background(), engine.Target{
		Root: root, DisplayName: "/shared/a.sif", CreatedAt: time.Unix(0, 0),
		ScanTypes: []engine.ScanType{engine.ScanPackages, engine.ScanFileInsight, engine.ScanSecrets},
	})
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]int{}
	for _, p := range result.Packages {
		types[p.Type]++
	}
	if result.OS.Family != "debian" || types["deb"] == 0 || types["pypi"] == 0 || types["npm"] == 0 || len(result.Warnings) != 0 {
		t.Errorf("os %+v, packages %v, warnings %v", result.OS, types, result.Warnings)
	}
}

func TestNamesThatAreNoUTF8AreNamesLikeAnyOther(t *testing.T) {
	result := scanSIF(t, func(tree *fixtures.Tree) {
		tree.File("opt/caf\xe9/x-1.dist-info/METADATA", "Name: x\nVersion: 1\n\n").
			File("opt/\x1b[2J/y-1.dist-info/METADATA", "Name: y\nVersion: 1\n\n")
	})
	var places []string
	for _, p := range result.Packages {
		places = append(places, p.Locations...)
	}
	want := []string{`opt/\x1b[2J/y-1.dist-info/METADATA`, `opt/caf\xe9/x-1.dist-info/METADATA`}
	slices.Sort(places)
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("places (-want +got):\n%s\nwarnings %v", diff, result.Warnings)
	}
}

func TestLinksOfTheImageLeadNowhereElse(t *testing.T) {
	result := scanSIF(t, func(tree *fixtures.Tree) {
		tree.Symlink("etc/os-release", "/proc/self/environ").
			File("usr/lib/os-release", "ID=inside\n").
			Symlink("opt/loop", "loop").Symlink("opt/up", "../../../..").
			FIFO("opt/package.json").
			File("x-1.dist-info/METADATA", "Name: x\nVersion: 1\n\n")
	})
	if result.OS.Family != "inside" || len(result.Packages) != 1 {
		t.Errorf("os %+v, packages %v", result.OS, result.Packages)
	}
}
