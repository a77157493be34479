// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// record is an advisory on Debian's openssl, whose identifier is made up.
const record = `{"id":"TEST-1","modified":"2026-11-20T00:00:00Z","aliases":["CVE-0000-0001"],
	"affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}],
	"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}`

func TestFindingsComeFromTheDatabaseAndWithoutOneNothingIsZero(t *testing.T) {
	good, dir := filepath.Join(images(t), "good.sif"), t.TempDir()
	records, db := filepath.Join(dir, "records"), filepath.Join(dir, "osv.db")
	if err := os.Mkdir(records, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(records, "TEST-1.json"), []byte(record), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := agent(context.Background(), "db", "build", "--from", records, "--out", db); code != 0 || !strings.Contains(stdout, "1 records on 1 packages") {
		t.Fatalf("db build: exit code %d\n%s%s", code, stdout, stderr)
	}
	scan := func(args ...string) (string, v1alpha1.Report) {
		t.Helper()
		out := t.TempDir()
		code, stdout, stderr := agent(context.Background(), append([]string{"scan", "--output-dir", out, good}, args...)...)
		if code != 0 {
			t.Fatalf("scan: exit code %d\n%s%s", code, stdout, stderr)
		}
		files, _ := filepath.Glob(filepath.Join(out, "*", "report.json"))
		body, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		var r v1alpha1.ScanReport
		if err := json.Unmarshal(body, &r); err != nil {
			t.Fatal(err)
		}
		return stdout, r.Report
	}
	line, with := scan("--db", db)
	if !strings.Contains(line, "1 critical, 0 high") || with.Summary.Critical == nil || *with.Summary.Critical != 1 || with.Scanner.Database == nil {
		t.Errorf("with a database: %s%+v", line, with.Summary)
	}
	if len(with.Findings) != 1 || with.Findings[0].IDs.CVE != "CVE-0000-0001" || with.Findings[0].Severity != "critical" || with.Findings[0].Score != "9.8" {
		t.Errorf("findings %+v", with.Findings)
	}
	if line, without := scan(); strings.Contains(line, "critical") || without.Summary.Critical != nil || without.Summary.NotAssessed != without.Summary.Packages {
		t.Errorf("without a database: %s%+v", line, without.Summary)
	}
	if code, _, stderr := agent(context.Background(), "scan", "--db", good, good); code != exitUsage || !strings.Contains(stderr, "node-agent db build") {
		t.Errorf("a database that is none: exit code %d, %s", code, stderr)
	}
}
