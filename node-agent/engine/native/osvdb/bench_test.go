package osvdb

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// benchRecords is the size of a database of the ecosystems of a scientific image.
const benchRecords = 250_000

// benchDatabase builds a database of made-up records: 50,000 packages of PyPI with five records each, as few real ones have.
func benchDatabase(b *testing.B) *DB {
	b.Helper()
	dir := b.TempDir()
	builder, err := newBuilder(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer builder.close()
	for i := range benchRecords {
		r := advisory(fmt.Sprintf("GHSA-%06d", i)).aliases(fmt.Sprintf("CVE-0000-%d", i)).cvss("CVSS_V3", criticalV3).
			affects("PyPI", fmt.Sprintf("package-%d", i%50_000), "introduced 0", "fixed 1.2.3", "introduced 2.0", fmt.Sprintf("fixed 2.%d", i/50_000+1))
		text, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		if err := builder.add(text); err != nil {
			b.Fatal(err)
		}
	}
	out := filepath.Join(dir, "osv.db")
	if _, err := builder.write(context.Background(), out); err != nil {
		b.Fatal(err)
	}
	db, err := Open(out)
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// BenchmarkMatch matches 5,000 packages, those of a large image, with 250,000 records.
func BenchmarkMatch(b *testing.B) {
	db := benchDatabase(b)
	defer db.Close() //nolint:errcheck // opened for reading
	var packages []engine.Package
	for i := range 5000 {
		packages = append(packages, pkg("PyPI", fmt.Sprintf("package-%d", 10*i), "2.2"))
	}
	b.ReportAllocs()
	for b.Loop() {
		m, err := db.Match(context.Background(), engine.OS{}, packages)
		if err != nil || len(m.Findings) == 0 {
			b.Fatal(err, len(m.Findings))
		}
	}
}
