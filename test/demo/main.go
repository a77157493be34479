// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo makes the images of 'make demo': one SIF with a whole Debian in it, made from
// Debian's own packages, and the same SIF as an interrupted copy leaves it; and a database of
// made-up advisories on some of those packages.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

const (
	release = "bookworm"
	// recipe is part of the cached image's name; a change below changes it.
	recipe = "1"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: demo IMAGES-DIRECTORY DATABASE-DIRECTORY")
		os.Exit(2)
	}
	if err := errors.Join(run(os.Args[1]), buildDatabase(os.Args[2])); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run puts the images into dir. The good one is made once and kept in the user's cache.
func run(dir string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	image := filepath.Join(cache, "sifscan-operator", "demo", release+"-"+recipe+".sif")
	if _, err := os.Stat(image); os.IsNotExist(err) {
		if err := build(image); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	content, err := os.ReadFile(image)
	if err != nil {
		return err
	}
	if err := writeIfNew(filepath.Join(dir, "py.sif"), content); err != nil {
		return err
	}
	return writeIfNew(filepath.Join(dir, "cut.sif"), content[:len(content)/3])
}

// writeIfNew leaves a file of the same size as it is: a second demo shows what "unchanged" is.
func writeIfNew(path string, content []byte) error {
	if info, err := os.Stat(path); err == nil && info.Size() == int64(len(content)) {
		return nil
	}
	return os.WriteFile(path, content, 0o644)
}

// build makes the good image.
func build(image string) error {
	if err := os.MkdirAll(filepath.Dir(image), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(image), "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	root, squashfs, sif := filepath.Join(work, "rootfs"), filepath.Join(work, "rootfs.squashfs"), filepath.Join(work, "demo.sif")

	fmt.Printf("making a SIF from Debian %s's packages with debootstrap (once, about a minute)\n", release)
	out, err := exec.Command("debootstrap", "--variant=minbase", release, root).CombinedOutput()
	if err != nil {
		return fmt.Errorf("debootstrap: %w\n%s", err, tail(out, 2000))
	}
	if err := os.RemoveAll(filepath.Join(root, "var/cache/apt/archives")); err != nil {
		return err
	}
	tree := fixtures.NewTree(root)
	fixtures.Python(tree)
	fixtures.Node(tree)
	if err := fixtures.GoBinary(filepath.Join(root, "usr/local/bin/greeting")); err != nil {
		return err
	}
	if err := (fixtures.Squashfs{Compression: "gzip"}).Make(root, squashfs); err != nil {
		return err
	}
	err = fixtures.NewSIF("amd64").System(squashfs).
		Labels(map[string]string{"org.label-schema.name": "sifscan-demo", "maintainer": "research software group"}).
		Definition("Bootstrap: debootstrap\nOSVersion: " + release + "\n").
		Write(sif)
	if err != nil {
		return err
	}
	return os.Rename(sif, image)
}

func tail(b []byte, n int) []byte {
	if len(b) > n {
		return b[len(b)-n:]
	}
	return b
}
