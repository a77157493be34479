package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/inventory"
	"github.com/google/osv-scalibr/plugin"
	"github.com/google/osv-scalibr/purl"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/test/schemas"
)

const requestsMetadata = "Name: requests\nVersion: 2.31.0\n\n"

func TestAnImageWithoutSystemAndPackagesIsAFailure(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Scan(context.Background(), engine.Target{Root: newTree().file("data/x.bin", "x").fs(), DisplayName: "/images/empty.sif"})
	var failure *engine.Error
	if !errors.As(err, &failure) || failure.Reason != v1alpha1.ReasonEmptyInventory || !strings.Contains(failure.Message, "/images/empty.sif") {
		t.Errorf("err = %v", err)
	}
}

func TestASystemWithoutPackagesIsFinishedWithAWarning(t *testing.T) {
	result := mustScan(t, engine.Target{Root: debianTree().fs()})
	if result.OS.Family != "debian" || len(result.Packages) != 0 || len(result.Warnings) != 1 {
		t.Errorf("result = %+v", result)
	}
}

func TestPackagesWithoutASystemAreFinished(t *testing.T) {
	result := mustScan(t, engine.Target{Root: newTree().file("x.dist-info/METADATA", requestsMetadata).fs()})
	if result.OS.Known() || len(result.Packages) != 1 || len(result.Warnings) != 0 {
		t.Errorf("result = %+v", result)
	}
}

func TestOnePackageInTwoPlacesIsListedOnceWithBoth(t *testing.T) {
	result := mustScan(t, engine.Target{Root: newTree().
		file("b/requests.dist-info/METADATA", requestsMetadata).
		file("a/requests.dist-info/METADATA", requestsMetadata).fs()})
	want := []engine.Package{{
		Name: "requests", Version: "2.31.0", Type: "pypi", PURL: "pkg:pypi/requests@2.31.0", Ecosystem: "PyPI",
		Locations: []string{"a/requests.dist-info/METADATA", "b/requests.dist-info/METADATA"},
		FoundBy:   []string{"python/wheelegg"},
	}}
	if diff := cmp.Diff(want, result.Packages); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
}

func TestSourcePackageAndEcosystemAreKeptForMatching(t *testing.T) {
	result := mustScan(t, engine.Target{Root: osArtefacts()[0].image(t).fs()})
	got := result.Packages[0]
	if got.Ecosystem != "Debian:12" || got.SourceName != "openssl" || got.Architecture != "amd64" {
		t.Errorf("package = %+v", got)
	}
}

func TestAnExcludedDirectoryIsNotEntered(t *testing.T) {
	result := mustScan(t, engine.Target{
		ExcludeDirs: []string{"/opt/data/"},
		Root: debianTree().
			file("opt/data/x.dist-info/METADATA", requestsMetadata).
			file("opt/database/y.dist-info/METADATA", "Name: y\nVersion: 1\n\n").fs(),
	})
	if got := purls(result); !slices.Equal(got, []string{"pkg:pypi/y@1"}) {
		t.Errorf("packages = %v", got)
	}
}

func TestBrokenFilesAreWarningsAndTheOthersAreListed(t *testing.T) {
	result := mustScan(t, engine.Target{Root: debianTree().
		file("app/packages.lock.json", "{broken").
		file("b.whl", "no archive").
		file("var/lib/rpm/rpmdb.sqlite", "SQLite format 3\x00 and no more").
		file("ok.dist-info/METADATA", requestsMetadata).fs()})
	if got := purls(result); !slices.Equal(got, []string{"pkg:pypi/requests@2.31.0"}) {
		t.Errorf("packages = %v", got)
	}
	var paths []string
	for _, w := range result.Warnings {
		paths = append(paths, w.Path)
	}
	if diff := cmp.Diff([]string{"app/packages.lock.json", "b.whl", "var/lib/rpm/rpmdb.sqlite"}, paths); diff != "" {
		t.Errorf("warned paths (-want +got):\n%s\n%v", diff, result.Warnings)
	}
}

func TestHostileTextIsMadePrintableEverywhere(t *testing.T) {
	result := mustScan(t, engine.Target{
		Formats:     []engine.Format{engine.FormatJSON, engine.FormatSPDX, engine.FormatCycloneDX},
		DisplayName: "/images/\x1b[2J\u202efis.sif",
		Root: newTree().
			file("x.dist-info/METADATA", "Name: ev\x1b[31mil\xff\nVersion: 1\u202e\n\n").fs(),
	})
	schemas.Check(t, result.Documents)
	for name, document := range result.Documents {
		if strings.ContainsAny(string(document), "\x1b\u202e\ufffd") || !json.Valid(document) {
			t.Errorf("%s holds text that is not printable:\n%s", name, document)
		}
	}
	if got, want := result.Packages[0].Name, `ev\x1b[31mil\xff`; got != want {
		t.Errorf("name = %q, want %q", got, want)
	}
}

func TestEqualScansGiveEqualDocuments(t *testing.T) {
	root := debianTree()
	for _, a := range artefacts() {
		for name, file := range a.image(t) {
			if name != "etc/os-release" {
				root[name] = file
			}
		}
	}
	target := engine.Target{Root: root.fs(), Formats: []engine.Format{engine.FormatJSON, engine.FormatSPDX, engine.FormatCycloneDX}}
	first := mustScan(t, target)
	if len(first.Documents) != 3 {
		t.Fatalf("documents: %d", len(first.Documents))
	}
	schemas.Check(t, first.Documents)
	for range 2 {
		if diff := cmp.Diff(first.Documents, mustScan(t, target).Documents); diff != "" {
			t.Fatalf("documents differ:\n%s", diff)
		}
	}
}

// unreadable is a file system in which some names cannot be opened.
type unreadable struct {
	fstest.MapFS
	names []string
}

func (u unreadable) Open(name string) (fs.File, error) {
	if slices.Contains(u.names, name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return u.MapFS.Open(name)
}

func (u unreadable) ReadDir(name string) ([]fs.DirEntry, error) {
	if slices.Contains(u.names, name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrPermission}
	}
	return u.MapFS.ReadDir(name)
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	root := debianTree().file("secret/x.dist-info/METADATA", requestsMetadata).file("y.dist-info/METADATA", requestsMetadata)
	result := mustScan(t, engine.Target{Root: unreadable{root.fs(), []string{"secret", "y.dist-info/METADATA"}}})
	want := []engine.Warning{
		{Message: "Debian GNU/Linux 12 (bookworm), but no package database and no language package was found: nothing in it could be assessed"},
		{Path: "secret", Message: "cannot be read: permission denied"},
		{Path: "y.dist-info/METADATA", Message: "cannot be read: permission denied"},
	}
	if diff := cmp.Diff(want, result.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestADirectoryNestedWithoutEndIsNotFollowed(t *testing.T) {
	deep := strings.Repeat("d/", maxPathDepth+5) + "x.dist-info/METADATA"
	result := mustScan(t, engine.Target{Root: debianTree().file(deep, requestsMetadata).fs()})
	if len(result.Packages) != 0 || len(result.Warnings) != 2 {
		t.Errorf("packages %v, warnings %v", result.Packages, result.Warnings)
	}
}

// extractorFunc is an extractor that runs a function on every file.
type extractorFunc func(path string) (inventory.Inventory, error)

func (extractorFunc) Name() string                         { return "test" }
func (extractorFunc) Version() int                         { return 0 }
func (extractorFunc) Requirements() *plugin.Capabilities   { return &plugin.Capabilities{} }
func (extractorFunc) FileRequired(filesystem.FileAPI) bool { return true }
func (f extractorFunc) Extract(_ context.Context, in *filesystem.ScanInput) (inventory.Inventory, error) {
	return f(in.Path)
}

func scanWith(f extractorFunc, maxFile int64, root tree) (*engine.Result, error) {
	e := &Engine{rules: []rule{{Extractor: f, maxFile: maxFile}}}
	return e.Scan(context.Background(), engine.Target{Root: root.fs(), DisplayName: "x.sif", CreatedAt: created})
}

func pypi(name string) inventory.Inventory {
	return inventory.Inventory{Packages: []*extractor.Package{{Name: name, Version: "1", PURLType: "pypi"}}}
}

func TestAnExtractorThatPanicsCostsOneFile(t *testing.T) {
	result, err := scanWith(func(path string) (inventory.Inventory, error) {
		if path == "bad" {
			panic("index out of range")
		}
		return pypi(path), nil
	}, mib, newTree().file("bad", "x").file("good", "x"))
	if err != nil {
		t.Fatal(err)
	}
	if got := purls(result); !slices.Equal(got, []string{"pkg:pypi/good@1"}) {
		t.Errorf("packages = %v", got)
	}
	want := []engine.Warning{{Path: "bad", Message: "test failed on it: index out of range"}}
	if diff := cmp.Diff(want, result.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestAFileBeyondTheLimitIsNamedAndNotRead(t *testing.T) {
	result, err := scanWith(func(path string) (inventory.Inventory, error) { return pypi(path), nil }, 3,
		newTree().file("big", "1234").file("small", "123"))
	if err != nil {
		t.Fatal(err)
	}
	want := []engine.Warning{{Path: "big", Message: "not read by test: it has 4 bytes, and the limit is 3"}}
	if diff := cmp.Diff(want, result.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestAnInventoryHasABound(t *testing.T) {
	s := newScan(context.Background(), engine.Target{})
	if got := s.room(maxPackages - 1); got != maxPackages-1 {
		t.Errorf("room for the first = %d", got)
	}
	if got := s.room(5); got != 1 {
		t.Errorf("room for the last = %d", got)
	}
	if got := s.room(5); got != 0 {
		t.Errorf("room beyond = %d", got)
	}
	if list, _ := s.warnings.list(); len(list) != 1 || !strings.Contains(list[0].Message, "100,000") {
		t.Errorf("warnings = %v", list)
	}
}

func TestTheTextOfAnInventoryHasABound(t *testing.T) {
	s := newScan(context.Background(), engine.Target{})
	var found []*extractor.Package
	for i := range 40_000 {
		found = append(found, &extractor.Package{Name: fmt.Sprintf("%s%d", strings.Repeat("n", 200), i), Version: strings.Repeat("1", 200), PURLType: purl.TypePyPi})
	}
	packages := s.convert(found)
	var kept engine.Kept
	for _, p := range packages {
		if err := kept.Package(p); err != nil {
			t.Fatal(err)
		}
	}
	if list, _ := s.warnings.list(); len(packages) < 10_000 || len(list) != 1 || !strings.Contains(list[0].Message, "more than 16 MiB") {
		t.Errorf("%d packages, warnings %v", len(packages), list)
	}
}

func TestWarningsHaveABound(t *testing.T) {
	root := newTree()
	for i := range engine.MaxWarnings + 7 {
		root.file(strings.Repeat("x", i+1), "x")
	}
	result, err := scanWith(func(path string) (inventory.Inventory, error) { return pypi(path), errors.New("broken") }, mib, root)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Warnings) != engine.MaxWarnings || result.DroppedWarnings != 7 {
		t.Errorf("%d warnings, %d dropped", len(result.Warnings), result.DroppedWarnings)
	}
}

func TestAScanEndsWithItsContext(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	root := debianTree().file("x.dist-info/METADATA", requestsMetadata).fs()

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Scan(cancelled, engine.Target{Root: root}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	late, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	_, err = e.Scan(late, engine.Target{Root: root})
	if engine.ReasonOf(err) != v1alpha1.ReasonDeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("late: %v", err)
	}
}
