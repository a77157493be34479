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

// row is a line of the table.
type row struct {
	ours, peer, goal string
	ratio
}

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

// empty returns a function that removes path and what is below it.
func empty(path string) func() error { return func() error { return os.RemoveAll(path) } }

// shell is a command line that stops at the first failure, also within a pipe.
func shell(line string) []string { return []string{"bash", "-euo", "pipefail", "-c", line} }

// table runs every comparison. What was measured before an error is returned with it.
func table(agent string, in inputs, w *workplace, pairs int, only string) ([]row, error) {
	results := filepath.Join(w.tmpfs, "results")
	scan := func(target string) []string {
		return []string{agent, "scan", "--formats=json", "--output-dir=" + results, target}
	}
	// An extracted tree is scanned as what it is to the agent: a sandbox.
	sandbox := filepath.Join(in.tree, ".singularity.d")
	if err := os.MkdirAll(sandbox, 0o755); err != nil {
		return nil, err
	}
	extract := func(dir string) command {
		return command{name: "node-agent extract", args: []string{agent, "extract", in.image, dir}, before: empty(dir)}
	}
	unsquashfs := func(dir string) string {
		return "unsquashfs -q -n -d " + dir + " " + in.squashfs + " >/dev/null"
	}
	onTmpfs, onExt4, other := filepath.Join(w.tmpfs, "root"), filepath.Join(w.ext4, "root"), filepath.Join(w.tmpfs, "mnt")

	cases := []struct {
		goal       string
		ours, peer command
	}{{
		goal: "≤ 0.20 CPU, ≤ 0.25 wall",
		ours: command{name: "scan in place", args: scan(in.image)},
		peer: command{
			name:   "unsquashfs, then scan of the directory",
			args:   shell(unsquashfs(onTmpfs) + "; mkdir -p " + onTmpfs + "/.singularity.d; " + strings.Join(scan(onTmpfs), " ") + " >/dev/null"),
			before: empty(onTmpfs),
		},
	}, {
		goal: "≤ 1.5 CPU",
		ours: command{name: "scan in place", args: scan(in.image)},
		peer: command{name: "scan of the extracted directory", args: scan(in.tree)},
	}, {
		goal: "≤ 1.0 CPU",
		ours: extract(onTmpfs),
		peer: command{name: "unsquashfs, tmpfs", args: shell(unsquashfs(onTmpfs)), before: empty(onTmpfs)},
	}, {
		goal: "≤ 1.1 CPU",
		ours: extract(onExt4),
		peer: command{name: "unsquashfs, ext4", args: shell(unsquashfs(onExt4)), before: empty(onExt4)},
	}, {
		goal: "≤ 0.45 CPU",
		ours: extract(onTmpfs),
		peer: command{
			name: "squashfuse + tar | tar, tmpfs",
			// squashfuse in the foreground, so that its CPU is counted with the shell's children.
			args: shell("mkdir -p " + other + " " + onTmpfs + "; squashfuse -f " + in.squashfs + " " + other + " & until mountpoint -q " + other +
				"; do sleep 0.05; done; tar -C " + other + " -cf - . | tar -C " + onTmpfs + " -xf -; umount " + other + "; wait"),
			before: empty(onTmpfs),
		},
	}}
	var rows []row
	for _, c := range cases {
		if !strings.Contains(c.ours.name+" "+c.peer.name, only) {
			continue
		}
		fmt.Printf("%s / %s …\n", c.ours.name, c.peer.name)
		r, err := compare(c.ours, c.peer, pairs)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row{c.ours.name, c.peer.name, c.goal, r})
	}
	return rows, nil
}
