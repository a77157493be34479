package native

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
)

// madeUpRecords are advisories that exist nowhere, for packages of the artefact tests.
var madeUpRecords = map[string]string{
	"TEST-1": `{"id":"TEST-1","modified":"2026-10-01T00:00:00Z","aliases":["CVE-0000-1"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
	  "affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.11-1~deb12u3"}]}]}]}`,
	"TEST-2": `{"id":"TEST-2","modified":"2026-10-02T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"Requests"},
	  "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"2.3"},{"fixed":"2.32.0"}]}]}]}`,
}

func testDatabase(t testing.TB) *osvdb.DB {
	t.Helper()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "osv.db")
	for id, text := range madeUpRecords {
		if err := os.WriteFile(filepath.Join(dir, id+".json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := osvdb.Build(context.Background(), out, osvdb.Source{From: dir, Now: created}); err != nil {
		t.Fatal(err)
	}
	db, err := osvdb.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // opened for reading
	return db
}

func imageToMatch(t testing.TB) tree {
	return osArtefacts()[0].image(t).
		file("opt/requests.dist-info/METADATA", requestsMetadata).
		file("node_modules/lodash/package.json", `{"name":"lodash","version":"4.17.20"}`)
}

func TestPackagesAreMatchedWithTheDatabase(t *testing.T) {
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	db := testDatabase(t)
	result, err := e.WithDatabase(db).Scan(context.Background(), engine.Target{
		Root: imageToMatch(t).fs(), DisplayName: "a.sif", CreatedAt: created, Formats: []engine.Format{engine.FormatJSON},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range result.Findings {
		got = append(got, strings.Join([]string{f.ID, f.Package, string(f.Severity), f.FixedVersion, f.Path}, " "))
	}
	want := []string{
		"CVE-0000-1 libssl3 critical 3.0.11-1~deb12u3 var/lib/dpkg/status",
		"TEST-2 requests  2.32.0 opt/requests.dist-info/METADATA",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if result.NotAssessed != 1 {
		t.Errorf("%d packages not assessed, want the one of npm", result.NotAssessed)
	}
	if result.Database == nil || result.Database.Digest != db.Info().Digest {
		t.Errorf("database = %+v", result.Database)
	}
	if !strings.Contains(string(result.Documents[engine.InventoryFile]), `"id": "CVE-0000-1"`) {
		t.Error("the document does not hold the findings")
	}
}

func TestWithoutADatabaseNothingIsAssessed(t *testing.T) {
	result := mustScan(t, engine.Target{Root: imageToMatch(t).fs()})
	if result.NotAssessed != len(result.Packages) || result.Database != nil || result.Findings != nil {
		t.Errorf("not assessed %d of %d, database %v, findings %v", result.NotAssessed, len(result.Packages), result.Database, result.Findings)
	}
}
