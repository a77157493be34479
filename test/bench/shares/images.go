// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// What SIFs of real work consist of: 14 KB of an image is a file, as in the Debian of the other benchmarks, and every hundredth
// file is the metadata of a Python package, which the engine reads.
const (
	fileSize = 14 << 10
	aPackage = 100
)

// shrunk is by how much images are smaller than on a shared volume.
const shrunk = 10

// fill makes a volume of SIFs with long-tailed sizes and returns these.
func fill(dir string, seed uint64, images int) ([]int64, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	sizes := fixtures.ImageSizes(rand.New(rand.NewPCG(seed, 1)), images)
	for i := range sizes {
		path := filepath.Join(dir, fmt.Sprintf("tool-%03d.sif", i))
		if err := makeImage(path, seed<<32|uint64(i), sizes[i]/shrunk); err != nil {
			return nil, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		sizes[i] = info.Size()
	}
	return sizes, nil
}

// makeImage makes a SIF of about so many bytes.
func makeImage(path string, seed uint64, size int64) error {
	squashfs := path + ".squashfs"
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeTree(w, seed, int(size/fileSize))) }()
	err := fixtures.Squashfs{Compression: "zstd", Extra: []string{"-Xcompression-level", "1"}}.MakeFromTar(r, squashfs)
	r.Close()
	if err == nil {
		err = fixtures.NewSIF("amd64").System(squashfs).Write(path)
	}
	return errors.Join(err, os.Remove(squashfs))
}

// writeTree writes an archive of so many files of random bytes, which no compression makes smaller.
func writeTree(to io.Writer, seed uint64, files int) error {
	out := tar.NewWriter(to)
	file := func(name string, content []byte) error {
		err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: fixtures.Epoch})
		if err == nil {
			_, err = out.Write(content)
		}
		return err
	}
	err := file("etc/os-release", []byte("ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"))
	source := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 32)})
	content := make([]byte, fileSize)
	for i := 0; i < files && err == nil; i++ {
		at := fmt.Sprintf("usr/lib/python3/dist-packages/science%d", i/aPackage)
		if i%aPackage == 0 {
			err = file(at+"-1.0.dist-info/METADATA", fmt.Appendf(nil, "Metadata-Version: 2.1\nName: science%d\nVersion: 1.0\nLicense: BSD\n\nA package.\n", i/aPackage))
			continue
		}
		_, _ = source.Read(content) // it never fails
		err = file(fmt.Sprintf("%s/part-%d.dat", at, i%aPackage), content)
	}
	return errors.Join(err, out.Close())
}
