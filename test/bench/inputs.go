// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
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

// inputs are the image and the tree that it was made from, kept in the user's cache.
type inputs struct {
	image, squashfs, tree string
	inodes                int
	bytes                 int64
}

func makeInputs() (inputs, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return inputs{}, err
	}
	dir := filepath.Join(cache, "sifscan-operator", "bench-"+recipe)
	in := inputs{image: filepath.Join(dir, "large.sif"), squashfs: filepath.Join(dir, "large.squashfs"), tree: filepath.Join(dir, "tree")}
	if _, err := os.Stat(in.image); os.IsNotExist(err) {
		if err := build(in); err != nil {
			return inputs{}, err
		}
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

func build(in inputs) error {
	if err := os.RemoveAll(filepath.Dir(in.image)); err != nil {
		return err
	}
	if err := os.MkdirAll(in.tree, 0o755); err != nil {
		return err
	}
	fmt.Println("making a 2 GB image from Debian's packages (once, several minutes)")
	out, err := exec.Command("debootstrap", "--include="+large, "bookworm", in.tree).CombinedOutput()
	if err != nil {
		return fmt.Errorf("debootstrap: %w\n%s", err, tail(out, 2000))
	}
	if err := os.RemoveAll(filepath.Join(in.tree, "var/cache/apt/archives")); err != nil {
		return err
	}
	if err := (fixtures.Squashfs{Compression: "gzip"}).Make(in.tree, in.squashfs); err != nil {
		return err
	}
	return fixtures.NewSIF("amd64").System(in.squashfs).Write(in.image)
}
