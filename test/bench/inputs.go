// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// large is what research images are made of: some 2 GB. Left out is what debootstrap cannot configure (Java, npm).
const large = "python3-scipy,python3-pandas,python3-matplotlib,nodejs,golang-go,g++,gfortran,libboost-dev,r-base-core,llvm-14-dev"

// recipe is part of the cached inputs' name; a change below changes it.
const recipe = "1"

// inputs are the image and the tree that it was made from, two databases of advisories about its packages, and a sandbox of
// program texts, kept in the user's cache.
type inputs struct {
	image, squashfs, tree string
	published, five       string // databases
	sources               string
	inodes                int
	bytes                 int64
}

func makeInputs(agent string) (inputs, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return inputs{}, err
	}
	dir := filepath.Join(cache, "sifscan-operator", "bench-"+recipe)
	in := inputs{
		image: filepath.Join(dir, "large.sif"), squashfs: filepath.Join(dir, "large.squashfs"), tree: filepath.Join(dir, "tree"),
		published: filepath.Join(dir, "published.osv2"), five: filepath.Join(dir, "five.osv2"), sources: filepath.Join(dir, "sources"),
	}
	if err := build(agent, in); err != nil {
		return inputs{}, err
	}
	err = filepath.WalkDir(in.tree, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		in.inodes++
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			in.bytes += info.Size()
		}
		return nil
	})
	return in, err
}

// build makes what is missing of the inputs. Each part gets its name when it is whole, so that
// an interrupted build goes on where it was.
func build(agent string, in inputs) error {
	for _, part := range []struct {
		path string
		make func(path string) error
	}{
		{in.tree, makeTree},
		{in.squashfs, func(path string) error { return fixtures.Squashfs{Compression: "gzip"}.Make(in.tree, path) }},
		{in.image, func(path string) error { return fixtures.NewSIF("amd64").System(in.squashfs).Write(path) }},
		{in.published, func(path string) error { return makeDatabase(agent, in.image, asPublished, path) }},
		{in.five, func(path string) error { return makeDatabase(agent, in.image, fiveEach, path) }},
		{in.sources, func(path string) error { return makeSources(in.tree, path) }},
	} {
		if _, err := os.Stat(part.path); err == nil {
			continue
		}
		partial := part.path + ".partial"
		if err := errors.Join(os.RemoveAll(partial), os.MkdirAll(filepath.Dir(partial), 0o755)); err != nil {
			return err
		}
		fmt.Printf("making %s (once, minutes)\n", part.path)
		if err := part.make(partial); err != nil {
			return err
		}
		if err := os.Rename(partial, part.path); err != nil {
			return err
		}
	}
	return nil
}

// makeTree installs Debian's packages into a directory.
func makeTree(path string) error {
	out, err := exec.Command("debootstrap", "--include="+large, "bookworm", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("debootstrap: %w\n%s", err, tail(out, 2000))
	}
	return os.RemoveAll(filepath.Join(path, "var/cache/apt/archives"))
}

// makeSources puts the tree's program texts where a user's own would lie: the agent does not look for secrets in directories
// that packages fill.
func makeSources(tree, path string) error {
	line := `mkdir -p "$2/etc" "$2/.singularity.d" "$2/opt"
cp -L "$1/etc/os-release" "$2/etc/"
for d in usr/include usr/lib/python3/dist-packages usr/share/go-1.19/src usr/share/R usr/lib/R/library usr/share/nodejs; do
	cp -al "$1/$d" "$2/opt/$(basename "$(dirname "$d")")-$(basename "$d")"
done`
	if out, err := exec.Command("bash", "-euc", line, "bash", tree, path).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(out, 1000))
	}
	return nil
}
