// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
)

// advisory is an OSV record. The demo's are made up: their identifiers begin with DEMO, and the
// packages are those of the demo image.
type advisory struct {
	id, ecosystem, name, fixed, vector string
}

var advisories = []advisory{
	{"DEMO-2026-0001", "PyPI", "requests", "2.32.0", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
	{"DEMO-2026-0002", "npm", "lodash", "4.17.21", "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:H/I:H/A:H"},
	{"DEMO-2026-0003", "Debian:12", "bash", "", "CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N"},
	{"DEMO-2026-0004", "Go", "example.com/greeting", "1.2.4", ""},
}

// buildDatabase makes the demonstration database in dir.
func buildDatabase(dir string) error {
	records, err := os.MkdirTemp("", "sifscan-demo-osv-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(records)
	for _, a := range advisories {
		body, err := json.Marshal(a.record())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(records, a.id+".json"), body, 0o644); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	out := filepath.Join(dir, "osv.db")
	info, err := osvdb.Build(context.Background(), out, osvdb.Source{From: records, Now: time.Now()})
	if err != nil {
		return fmt.Errorf("build the demonstration database: %w", err)
	}
	fmt.Printf("%d advisories, made up for this demonstration, in %s\n", info.Records, out)
	return os.Chmod(out, 0o644)
}

func (a advisory) record() map[string]any {
	events := []map[string]string{{"introduced": "0"}}
	if a.fixed != "" {
		events = append(events, map[string]string{"fixed": a.fixed})
	}
	record := map[string]any{
		"schema_version": "1.7.0",
		"id":             a.id,
		// Today's: the demo is not about stale databases; a second demo of the day has the same one.
		"modified": time.Now().UTC().Truncate(24 * time.Hour).Format(time.RFC3339),
		"summary":  "Demonstration data, no real advisory",
		"affected": []any{map[string]any{
			"package": map[string]string{"ecosystem": a.ecosystem, "name": a.name},
			"ranges":  []any{map[string]any{"type": "ECOSYSTEM", "events": events}},
		}},
	}
	if a.vector != "" {
		record["severity"] = []map[string]string{{"type": "CVSS_V3", "score": a.vector}}
	}
	return record
}
