// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// claim is the volume, and packages how many each of its images has.
const (
	claim    = "shared"
	packages = 300
)

// volume is what is scanned, and with what.
type volume struct {
	ctx    context.Context //nolint:containedctx // of the bench
	agent  string
	dir    string
	server server
	db     string
	runs   int
	// databases that were made.
	databases int
	// profiles is where reporters leave profiles of their CPU; empty: nowhere.
	profiles string
	// documents is where reporters keep documents from then on; empty: ConfigMaps.
	documents string
}

// keepOnVolume makes a volume for documents.
func (b *volume) keepOnVolume() error {
	b.documents = filepath.Join(b.dir, "documents")
	return os.Mkdir(b.documents, 0o755)
}

// perFolder is how many images a folder has.
const perFolder = 100

// make fills the volume with equal images, each a file of its own.
func (b *volume) make(images int) error {
	status, err := installed()
	if err != nil {
		return err
	}
	root := filepath.Join(b.dir, "tree")
	tree := fixtures.NewTree(root).With(fixtures.Debian).File("var/lib/dpkg/status", strings.Join(status, "\n\n")+"\n\n")
	if err := tree.Done(); err != nil {
		return err
	}
	squashfs, sif := filepath.Join(b.dir, "squashfs"), filepath.Join(b.dir, "sif")
	if err := (fixtures.Squashfs{Compression: "gzip"}).Make(root, squashfs); err != nil {
		return err
	}
	if err := fixtures.NewSIF("amd64").System(squashfs).Write(sif); err != nil {
		return err
	}
	image, err := os.ReadFile(sif)
	if err != nil {
		return err
	}
	for i := range images {
		folder := filepath.Join(b.dir, claim, fmt.Sprintf("project-%03d", i/perFolder))
		if err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, fmt.Sprintf("tool-%05d.sif", i)), image, 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// installed are the first packages of this machine, as dpkg tells of them: real names, versions and
// descriptions compress as those of real images do.
func installed() ([]string, error) {
	text, err := os.ReadFile("/var/lib/dpkg/status")
	if err != nil {
		return nil, fmt.Errorf("the bench needs a Debian machine: %w", err)
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n\n")
	if len(all) < packages {
		return nil, fmt.Errorf("this machine has %d packages, and %d are needed", len(all), packages)
	}
	return all[:packages], nil
}

// database makes a database in which every second package of this machine, the first or the second of
// two, has a made-up advisory (CVE-0000 exists nowhere) that has no fix. The others that are named are on
// packages that no image has.
func (b *volume) database(of int, others ...string) (err error) {
	status, err := installed()
	if err != nil {
		return err
	}
	b.databases++
	b.db = filepath.Join(b.dir, fmt.Sprintf("osv2-%d", b.databases))
	from := filepath.Join(b.dir, fmt.Sprintf("osv-%d", b.databases))
	if err := os.MkdirAll(from, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(from, "all.zip"))
	if err != nil {
		return err
	}
	z := zip.NewWriter(f)
	for i, paragraph := range status {
		name, _, _ := strings.Cut(strings.TrimPrefix(paragraph, "Package: "), "\n")
		if i%2 == of {
			err = errors.Join(err, advisory(z, i, name))
		}
	}
	for i, name := range others {
		err = errors.Join(err, advisory(z, len(status)+i, name))
	}
	if err := errors.Join(err, z.Close(), f.Close()); err != nil {
		return err
	}
	out, err := exec.CommandContext(b.ctx, b.agent, "db", "build", "--from", from, "--out", b.db).CombinedOutput()
	if err != nil {
		return fmt.Errorf("db build: %w\n%s", err, out)
	}
	return nil
}

func advisory(z *zip.Writer, n int, name string) error {
	id := fmt.Sprintf("CVE-0000-%06d", n)
	out, err := z.Create(id + ".json")
	if err != nil {
		return err
	}
	type object = map[string]any
	return json.NewEncoder(out).Encode(object{
		"id": "BENCH-" + id, "upstream": []string{id}, "modified": "2026-10-01T00:00:00Z",
		"summary":  "A made-up flaw in " + name + " that lets a made-up attacker do what made-up attackers do",
		"severity": []object{{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}},
		"affected": []object{{
			"package": object{"ecosystem": "Debian:12", "name": name},
			"ranges":  []object{{"type": "ECOSYSTEM", "events": []object{{"introduced": "0"}}}},
		}},
	})
}
