// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/zip"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
)

// records is how many advisories a database has: those of the ecosystems that research images are made of.
const records = 250_000

// spread says how advisories fall on the image's packages.
type spread func(pkg installed, random *rand.Rand) (count int)

// asPublished is how Debian's fall: thousands on the kernel, hundreds on a few, none on most.
func asPublished(pkg installed, random *rand.Rand) int {
	many := map[string]int{
		"linux": 4000, "binutils": 300, "openssl": 150, "curl": 150, "glibc": 140, "nodejs": 140, "golang-1.19": 130, "tiff": 220,
		"libxml2": 90, "sqlite3": 60, "perl": 50, "python3.11": 70, "systemd": 60, "openjpeg2": 80, "gcc-12": 10, "cairo": 30,
	}
	if n, ok := many[pkg.source()]; ok {
		return n
	}
	switch dice := random.IntN(100); {
	case dice < 55:
		return 0
	case dice < 85:
		return 1 + random.IntN(3)
	case dice < 97:
		return 4 + random.IntN(7)
	}
	return 11 + random.IntN(30)
}

// fiveEach is more than any image has: five advisories for each package.
func fiveEach(installed, *rand.Rand) int { return 5 }

// installed is a package of the image, as the agent's inventory has it.
type installed struct {
	Ecosystem     string `json:"ecosystem"`
	Name          string `json:"name"`
	Version       string `json:"version"`
	SourceName    string `json:"sourceName"`
	SourceVersion string `json:"sourceVersion"`
}

func (p installed) source() string        { return cmp.Or(p.SourceName, p.Name) }
func (p installed) sourceVersion() string { return cmp.Or(p.SourceVersion, p.Version) }

// makeDatabase makes a database of made-up advisories (CVE-0000 exists nowhere) about the image's packages and others.
func makeDatabase(agent, image string, s spread, out string) error {
	dir, err := os.MkdirTemp("", "sifscan-bench-osv-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	packages, err := inventory(agent, image, filepath.Join(dir, "scan"))
	if err != nil {
		return err
	}
	if err := writeRecords(filepath.Join(dir, "all.zip"), packages, s); err != nil {
		return err
	}
	text, err := exec.Command(agent, "db", "build", "--from", dir, "--out", out).CombinedOutput()
	if err != nil {
		return fmt.Errorf("db build: %w\n%s", err, tail(text, 1000))
	}
	return nil
}

func inventory(agent, image, dir string) ([]installed, error) {
	if out, err := exec.Command(agent, "scan", "--formats=json", "--output-dir="+dir, image).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("scan: %w\n%s", err, tail(out, 1000))
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "inventory.json"))
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("inventories: %v %w", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	var document struct{ Packages []installed }
	err = json.Unmarshal(text, &document)
	return document.Packages, errors.Join(err, os.RemoveAll(dir))
}

func writeRecords(path string, packages []installed, s spread) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	z := zip.NewWriter(f)
	defer func() { err = errors.Join(err, z.Close(), f.Close()) }()
	w := recordWriter{zip: z, random: rand.New(rand.NewPCG(1, 2))}
	seen := map[string]bool{}
	for _, p := range packages {
		if p.Ecosystem == "" || seen[p.Ecosystem+p.source()] {
			continue
		}
		seen[p.Ecosystem+p.source()] = true
		for range s(p, w.random) {
			if err := w.write(p.Ecosystem, p.source(), w.around(p.sourceVersion())); err != nil {
				return err
			}
		}
	}
	return w.others()
}

// recordWriter writes OSV records.
type recordWriter struct {
	zip    *zip.Writer
	random *rand.Rand
	count  int
}

type object = map[string]any

// around returns events around a version: six of ten fixed before it, three not fixed, one fixed after it.
func (w *recordWriter) around(version string) []object {
	switch dice := w.random.IntN(10); {
	case dice < 6:
		return []object{{"introduced": "0"}, {"fixed": fmt.Sprintf("%s~%d", version, w.random.IntN(100))}}
	case dice < 9:
		return []object{{"introduced": "0"}}
	}
	return []object{{"introduced": "0"}, {"fixed": fmt.Sprintf("%s+u%d", version, w.random.IntN(100))}}
}

func (w *recordWriter) write(ecosystem, name string, events []object) error {
	id := fmt.Sprintf("CVE-0000-%06d", w.count)
	w.count++
	out, err := w.zip.Create(id + ".json")
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(object{
		"id": "BENCH-" + id, "upstream": []string{id}, "modified": "2026-10-01T00:00:00Z",
		"summary":  "A made-up flaw in " + name + " that lets a made-up attacker do what made-up attackers do",
		"severity": []object{{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}},
		"affected": []object{{
			"package": object{"ecosystem": ecosystem, "name": name},
			"ranges":  []object{{"type": "ECOSYSTEM", "events": events}},
		}},
	})
}

// others writes advisories about packages the image does not have, until there are enough.
func (w *recordWriter) others() error {
	ecosystems := []string{"npm", "npm", "npm", "PyPI", "Maven", "Go", "Packagist", "crates.io", "Debian:11", "Debian:12",
		"Ubuntu:22.04:LTS", "Alpine:v3.19", "Rocky Linux:9"}
	for w.count < records {
		ecosystem := ecosystems[w.random.IntN(len(ecosystems))]
		name := fmt.Sprintf("made-up-%d", w.random.IntN(records/30))
		if err := w.write(ecosystem, name, w.around(fmt.Sprintf("1.%d.%d", w.random.IntN(20), w.random.IntN(20)))); err != nil {
			return err
		}
	}
	return nil
}
