// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// workplace is where runs write: a tmpfs, and an ext4 made new.
type workplace struct{ dir, tmpfs, ext4 string }

// workSize holds the extracted image twice.
const workSize = "6G"

func newWorkplace() (*workplace, error) {
	dir, err := os.MkdirTemp("", "sifscan-bench-")
	if err != nil {
		return nil, err
	}
	w := &workplace{dir: dir, tmpfs: filepath.Join(dir, "tmpfs"), ext4: filepath.Join(dir, "ext4")}
	image := filepath.Join(dir, "ext4.img")
	for _, args := range [][]string{
		{"mkdir", w.tmpfs, w.ext4},
		{"mount", "-t", "tmpfs", "-o", "size=" + workSize, "tmpfs", w.tmpfs},
		{"truncate", "-s", workSize, image},
		{"mkfs.ext4", "-q", image},
		{"mount", "-o", "loop", image, w.ext4},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			w.remove()
			return nil, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return w, nil
}

func (w *workplace) remove() {
	_ = exec.Command("umount", w.ext4).Run()
	_ = exec.Command("umount", w.tmpfs).Run()
	_ = os.RemoveAll(w.dir)
}

// kernelReads tells whether the kernel may mount the image here.
func (w *workplace) kernelReads(squashfs string) bool {
	dir := filepath.Join(w.dir, "probe")
	line := shell("mkdir -p " + dir + "; mount -t squashfs -o loop,ro " + squashfs + " " + dir + "; umount " + dir)
	return exec.Command(line[0], line[1:]...).Run() == nil
}

// empty returns a function that removes path and what is below it.
func empty(path string) func() error { return func() error { return os.RemoveAll(path) } }

// shell is a command line that stops at the first failure, also within a pipe.
func shell(line string) []string { return []string{"bash", "-euo", "pipefail", "-c", line} }
