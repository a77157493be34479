// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"github.com/go-logr/logr"
	scalibrfs "github.com/google/osv-scalibr/fs"
	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// Of the images of a benchmark: packages, and every how many has a finding.
const (
	benchPackages = 300
	benchFindings = 5
	// benchOwn is followed by the number of the only image that has the package.
	benchOwn = "site"
	// benchPath is an image's on its volume.
	benchPath = "project/tool.sif"
)

// BenchmarkRematch is what the scanner does for an image of which only the database changed, but for waiting.
func BenchmarkRematch(b *testing.B) {
	for _, own := range []int{0, 4} {
		for _, other := range []bool{false, true} {
			b.Run(fmt.Sprintf("own=%d/other=%v", own, other), func(b *testing.B) { rematchBench(b, own, other) })
		}
	}
}

// rematchBench matches images of which every own-th package is in one image only.
func rematchBench(b *testing.B, own int, other bool) {
	before, now := scannerWith(b, 0), scannerWith(b, 0)
	if other {
		now = scannerWith(b, 1)
	}
	inventory := scannedInventory(b, before, own)
	var places []int // of what makes a package one of this image only
	for at, text := 0, inventory; own > 0; {
		next := bytes.Index(text, []byte(benchOwn))
		if next < 0 {
			break
		}
		at, text = at+next+len(benchOwn), text[next+len(benchOwn):]
		places = append(places, at)
	}
	results, state := b.TempDir(), b.TempDir()
	scannersEnd, err := handover.OpenScanner(results, state)
	if err != nil {
		b.Fatal(err)
	}
	defer scannersEnd.Close()
	reportersEnd, err := handover.OpenReporter(results, state)
	if err != nil {
		b.Fatal(err)
	}
	defer reportersEnd.Close()
	root, err := volume.OpenRoot(b.TempDir(), "/shared")
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	sink := &benchSink{inventory: inventory, HandoverSink: &HandoverSink{Hand: scannersEnd, Dir: results, StoreTimeout: time.Minute, Log: logr.Discard()}}
	target := &imageFile{onVolume: onVolume{root: root, path: benchPath}, info: volume.Info{Kind: volume.Regular, Size: 1 << 20, ModTime: 1}}
	r := &run{Scanner: now, known: &handover.Knowledge{Recalls: true}, sink: sink, count: map[v1alpha1.EntryOutcome]int{}}
	n := 0
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // about what the agent's pace comes to
	b.ReportAllocs()
	from := spentCPU(b)
	for b.Loop() {
		n++
		number := []byte(fmt.Sprintf("%05d", n))
		for _, place := range places {
			copy(inventory[place:], number)
		}
		result := r.rematch(b.Context(), target, earlier{was: "1:2:3:4:5", is: "1:2:3:4:6"})
		if result == nil || result.Outcome != v1alpha1.EntryScanned {
			b.Fatal(result)
		}
		if other == (len(result.Unchanged) == 3) {
			b.Fatal(result.Unchanged)
		}
		if err := r.deliver(b.Context(), result); err != nil {
			b.Fatal(err)
		}
		if err := reportersEnd.Ack(handover.Ack{Folder: sink.pending[len(sink.pending)-1]}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((spentCPU(b)-from).Microseconds())/float64(b.N), "cpu-µs/op")
}

// spentCPU is what this process used: of a busy machine the time says little.
func spentCPU(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchSink gives back an inventory without asking.
type benchSink struct {
	*HandoverSink
	inventory []byte
}

func (s *benchSink) Recall(context.Context, Place, string) (*handover.Recalled, error) {
	return &handover.Recalled{
		Kind: "sif", Architecture: "amd64", Image: &v1alpha1.ReportImage{Format: "sif", Compression: "gzip", Partitions: []string{"system squashfs 4096 bytes"}},
		Documents: []string{engine.InventoryFile, engine.SPDXFile, engine.SARIFFile}, Inventory: bytes.Clone(s.inventory),
	}, nil
}

// scannerWith is a scanner with a database that tells of every benchFindings-th package, from the of-th on.
func scannerWith(b *testing.B, of int) *Scanner {
	b.Helper()
	dir, out := b.TempDir(), filepath.Join(b.TempDir(), "osv.db")
	for i := of; i < benchPackages; i += benchFindings {
		record := fmt.Sprintf(`{"id":"BENCH-CVE-0000-%06d","upstream":["CVE-0000-%06d"],"modified":"2026-10-01T00:00:00Z",
			"summary":"A made-up flaw in %s that lets a made-up attacker do what made-up attackers do",
			"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}],
			"affected":[{"package":{"ecosystem":"Debian:12","name":%q},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`,
			i, i, packageName(i), packageName(i))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".json")), []byte(record), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	now := time.Date(2026, 11, 22, 1, 30, 0, 0, time.UTC)
	if _, err := osvdb.Build(b.Context(), out, osvdb.Source{From: dir, Now: now}); err != nil {
		b.Fatal(err)
	}
	db, err := osvdb.Open(out)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	e, err := native.New()
	if err != nil {
		b.Fatal(err)
	}
	return &Scanner{
		Engine: e.WithDatabase(db), EngineVersion: native.Version, Database: db.Info().Digest, Types: []engine.ScanType{engine.ScanPackages, engine.ScanFileInsight},
		Formats: []engine.Format{engine.FormatJSON, engine.FormatSPDX}, Reports: []report.Format{report.SARIF}, Timeout: time.Hour, Now: time.Now, Log: logr.Discard(),
	}
}

func packageName(i int) string { return fmt.Sprintf("lib%03dthing", i) }

// scannedInventory is the inventory of an image.
func scannedInventory(b *testing.B, s *Scanner, own int) []byte {
	b.Helper()
	var status bytes.Buffer
	for i := range benchPackages {
		version := fmt.Sprintf("%d.%d.7-1", i%7, i)
		if own > 0 && i%own == 1 {
			version += benchOwn + "00000"
		}
		fmt.Fprintf(&status, "Package: %s-dev\nStatus: install ok installed\nArchitecture: amd64\nSource: %s\nVersion: %s\nMaintainer: A Maintainer <a@example.com>\n\n",
			packageName(i), packageName(i), version)
	}
	dir := b.TempDir()
	for name, text := range map[string]string{
		"etc/os-release":      "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"var/lib/dpkg/status": status.String(),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	found, err := s.Engine.Scan(b.Context(), engine.Target{
		Root: scalibrfs.DirFS(dir), DisplayName: "/shared/" + benchPath, Architecture: "amd64",
		ScanTypes: s.Types, Formats: s.Formats,
	})
	if err != nil {
		b.Fatal(err)
	}
	if len(found.Packages) != benchPackages || len(found.Findings) != benchPackages/benchFindings {
		b.Fatal(len(found.Packages), len(found.Findings))
	}
	return found.Documents[engine.InventoryFile]
}
