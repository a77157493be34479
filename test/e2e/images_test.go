// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// image is the name of one of the images that are made once for all specs.
type image string

const (
	// debian is of the size of a real one: Debian, Python and Node.js packages among some MiB of other files.
	debian image = "debian.sif"
	// alpine is as small as an image can be.
	alpine image = "alpine.sif"
	// large unpacks to more than smallTmp, and is small: most of it is one letter.
	large image = "large.sif"
	// filling and fillingFast have qscanner's double fill tmp: within seconds, so that it can be looked on, and as fast as it can.
	filling, fillingFast image = "fills.sif", "fills-fast.sif"
	// crowded has so many packages that their inventory takes several times crowdedLimit.
	crowded image = "crowded.sif"
)

const (
	debianPackages  = 5 // bash, libc6, openssl, requests, lodash
	crowdedPackages = 60_000
	// crowdedLimit is a memory limit within which every image but crowded is scanned: the agent takes 10 MiB for debian, besides
	// the pages of its program.
	crowdedLimit = "64Mi"
)

// imageDir is where the images are.
var imageDir string

// content returns the bytes of an image.
func (i image) content() []byte {
	GinkgoHelper()
	b, err := os.ReadFile(filepath.Join(imageDir, string(i)))
	Expect(err).NotTo(HaveOccurred())
	return b
}

// cut is what an interrupted copy leaves of an image.
func (i image) cut() []byte {
	GinkgoHelper()
	b := i.content()
	return b[:len(b)/3]
}

// makeImages makes every image into dir.
func makeImages(dir string) {
	GinkgoHelper()
	made := map[image]func(*fixtures.Tree){
		debian: func(t *fixtures.Tree) {
			t.With(fixtures.Debian).With(fixtures.Python).With(fixtures.Node).With(library)
		},
		alpine: fixtures.Alpine,
		large: func(t *fixtures.Tree) {
			t.With(fixtures.Debian).File("usr/share/data/large.txt", strings.Repeat("x", 60<<20))
		},
		crowded: func(t *fixtures.Tree) { t.With(fixtures.Debian).With(crowd) },
	}
	all := maps.Clone(behaviours)
	all[filling], all[fillingFast] = "fill 1000000000 at 8000000", "fill 1000000000"
	for name, behaviour := range all {
		made[name] = func(t *fixtures.Tree) { t.With(fixtures.Debian).File(".qscanner-double", behaviour+"\n") }
	}
	for name, with := range made {
		root := filepath.Join(dir, "tree-"+string(name))
		squashfs := filepath.Join(dir, string(name)+".squashfs")
		Expect(fixtures.NewTree(root).With(with).Done()).To(Succeed())
		Expect(fixtures.Squashfs{}.Make(root, squashfs)).To(Succeed())
		Expect(fixtures.NewSIF("amd64").System(squashfs).Definition("Bootstrap: docker\n").
			Write(filepath.Join(dir, string(name)))).To(Succeed())
		Expect(os.RemoveAll(root)).To(Succeed())
		Expect(os.Remove(squashfs)).To(Succeed())
	}
}

// library is what most of an image consists of: files that no package manager's list is among.
func library(t *fixtures.Tree) {
	for i := range 400 {
		t.Filled(fmt.Sprintf("usr/share/data/%02d/part-%d.bin", i%20, i), uint64(i), 16<<10)
	}
	t.Filled("usr/lib/libscience.so.1", 4711, 4<<20)
}

// crowd fills the list of dpkg. Each package has a text of its own, so that they share no memory.
func crowd(t *fixtures.Tree) {
	var status strings.Builder
	for i := range crowdedPackages {
		fmt.Fprintf(&status, "Package: science-%d\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: Group %d <group-%d@example.org>\nVersion: 1.%d-1\n\n", i, i, i, i)
	}
	t.File("var/lib/dpkg/status", status.String())
}
