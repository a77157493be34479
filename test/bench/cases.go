// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// comparison is a line of the table before it is run.
type comparison struct {
	goal       string
	ours, peer command
	// times is how many pairs are run for each one asked for: differences of a few percent need more.
	times int
}

// row is a line of the table.
type row struct {
	comparison
	ratio
}

// bench knows what is compared.
type bench struct {
	agent string
	in    inputs
	work  *workplace
}

// run runs the comparisons whose name contains only. What was measured before an error is returned with it.
func (b *bench) run(pairs int, only string) (rows []row, err error) {
	// An extracted tree is scanned as what it is to the agent: a sandbox.
	if err := os.MkdirAll(filepath.Join(b.in.tree, ".singularity.d"), 0o755); err != nil {
		return nil, err
	}
	secrets, err := b.secrets()
	if err != nil {
		return nil, err
	}
	all := append(b.scans(), b.extractions()...)
	if strings.Contains(runningScan+" / "+rootWalk, only) {
		running, stop, err := b.live()
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		all = append(all, running...)
	}
	all = append(all, b.matching()...)
	for _, c := range append(all, secrets...) {
		if !strings.Contains(c.ours.name+" / "+c.peer.name, only) {
			continue
		}
		fmt.Printf("%s / %s …\n", c.ours.name, c.peer.name)
		r, err := compare(c.ours, c.peer, pairs*max(c.times, 1))
		if err != nil {
			return rows, err
		}
		rows = append(rows, row{c, r})
	}
	return rows, nil
}

// scan is the agent's command line to scan a target.
func (b *bench) scan(name, target string, flags ...string) command {
	args := []string{b.agent, "scan", "--formats=json", "--output-dir=" + filepath.Join(b.work.tmpfs, "results")}
	return command{name: name, args: append(append(args, flags...), target)}
}

// unsquashfs is a command line, quiet and with all cores, as it is called by apptainer build.
func (b *bench) unsquashfs(dir string) string {
	return "unsquashfs -q -n -d " + dir + " " + b.in.squashfs + " >/dev/null"
}

func (b *bench) scans() []comparison {
	root := filepath.Join(b.work.tmpfs, "root")
	directory := b.scan("", root)
	return []comparison{{
		goal: "≤ 0.20 CPU, ≤ 0.25 wall",
		ours: b.scan("scan in place", b.in.image),
		peer: command{
			name:   "unsquashfs, then scan of the directory",
			args:   shell(b.unsquashfs(root) + "; mkdir -p " + root + "/.singularity.d; " + strings.Join(directory.args, " ") + " >/dev/null"),
			before: empty(root),
		},
	}, {
		goal:  "≤ 1.5 CPU",
		ours:  b.scan("scan in place", b.in.image),
		peer:  b.scan("scan of the extracted directory", b.in.tree),
		times: 3,
	}}
}

func (b *bench) extractions() []comparison {
	extract := func(dir string) command {
		return command{name: "node-agent extract", args: []string{b.agent, "extract", b.in.image, dir}, before: empty(dir)}
	}
	onTmpfs, onExt4, mount := filepath.Join(b.work.tmpfs, "root"), filepath.Join(b.work.ext4, "root"), filepath.Join(b.work.tmpfs, "mnt")
	all := []comparison{{
		goal: "≤ 1.0 CPU",
		ours: extract(onTmpfs),
		peer: command{name: "unsquashfs, tmpfs", args: shell(b.unsquashfs(onTmpfs)), before: empty(onTmpfs)},
	}, {
		goal: "≤ 1.1 CPU",
		ours: extract(onExt4),
		peer: command{name: "unsquashfs, ext4", args: shell(b.unsquashfs(onExt4)), before: empty(onExt4)},
	}, {
		goal: "≤ 0.45 CPU",
		ours: extract(onTmpfs),
		peer: command{
			name: "squashfuse + tar | tar, tmpfs",
			// squashfuse in the foreground, so that its CPU is counted with the shell's children.
			args: shell("mkdir -p " + mount + " " + onTmpfs + "; squashfuse -f " + b.in.squashfs + " " + mount + " & until mountpoint -q " + mount +
				"; do sleep 0.05; done; tar -C " + mount + " -cf - . | tar -C " + onTmpfs + " -xf -; umount " + mount + "; wait"),
			before: empty(onTmpfs),
		},
	}}
	if !b.work.kernelReads(b.in.squashfs) {
		return all
	}
	return append(all, comparison{
		ours: extract(onTmpfs),
		peer: command{
			name: "kernel mount + cp -a, tmpfs",
			args: shell("mkdir -p " + mount + "; mount -t squashfs -o loop,ro " + b.in.squashfs + " " + mount +
				"; cp -a " + mount + " " + onTmpfs + "; umount " + mount),
			before: empty(onTmpfs),
		},
	})
}

// matching compares scans with a database of 250,000 advisories with scans without. Matching alone is what the goal is
// about; the other two rows have the documents of all findings in them.
func (b *bench) matching() []comparison {
	const goal = "≤ 1.10 CPU, peak ≤ 256 MiB"
	without := b.scan("the same scan without a database", b.in.image)
	const packages, report = "--formats=spdx", "--report-formats=json"
	return []comparison{
		{goal, b.scan("scan with advisories as published, their documents left out", b.in.image, "--db="+b.in.published, packages, report),
			b.scan("the same scan without a database", b.in.image, packages, report), 5},
		{goal, b.scan("scan with advisories as published", b.in.image, "--db="+b.in.published), without, 5},
		{goal, b.scan("scan with five advisories a package", b.in.image, "--db="+b.in.five), without, 5},
	}
}

// rules are the expressions of the agent's secret rules, as ripgrep writes them.
const rules = `sk-ant-[a-zA-Z0-9]+-[A-Za-z0-9_-]+
\b(AKIA[A-Z0-9]{16}|ASIA[A-Z0-9]{16})\b
dop_v1_[abcdef0-9]{64}
dckr_pat_[a-zA-Z0-9_-]{27}
AIzaSy[ABCD][a-zA-Z0-9_-]{32}
auth_provider_x509_cert_url
gh[opsu]_[A-Za-z0-9]{36}
github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}
glpat-[0-9A-Za-z_-]{20}
hf_[A-Za-z]{34}
npm_[a-zA-Z0-9]{36}
sk-[A-Za-z0-9_-]*T3BlbkFJ[A-Za-z0-9_-]+
-----BEGIN (OPENSSH|RSA|DSA|EC|ED25519|ENCRYPTED)? ?PRIVATE KEY-----
pypi-[A-Za-z0-9_-]{85,}
rubygems_[0-9a-f]{48}
SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}
xapp-[0-9]{1,10}-[A-Za-z0-9]{11}-[0-9]{13}-[a-fA-F0-9]{64}
\bxox[abprs]-[0-9]{8,14}-[0-9A-Za-z-]{20,150}
https://hooks\.slack\.com/(services|workflows)/T[0-9A-Z]{8,12}/[0-9A-Z]{8,20}/[0-9A-Za-z]{20,30}
sk_live_[A-Za-z0-9]{10,99}
`

// secrets compares the search for secrets with ripgrep's for the same expressions in the same files, and with a scan that
// does not search. The agent also looks for packages there.
func (b *bench) secrets() ([]comparison, error) {
	file := filepath.Join(b.work.dir, "rules")
	if err := os.WriteFile(file, []byte(rules), 0o644); err != nil {
		return nil, err
	}
	// Hidden and ignored files too, no binary ones, nothing above 4 MiB, none of the endings that the agent passes over.
	// Exit code 1 is "nothing found".
	ripgrep := "rg --no-config -uu --max-filesize 4M -g '!*.{so,a,o,pyc,jar,gz,xz,zst,bz2,zip,whl,png,jpg,gif,pdf,h5,npy,npz,pt,mo,ttf,woff,woff2}' " +
		"-n -f " + file + " " + b.in.sources + " >/dev/null || [ $? = 1 ]"
	with := b.scan("scan of program texts for secrets", b.in.sources, "--scan-types=pkg,secret")
	return []comparison{
		{"", with, command{name: "ripgrep with the same expressions", args: shell(ripgrep)}, 1},
		{"", with, b.scan("the same scan without secrets", b.in.sources), 3},
		{"", b.scan("scan in place for secrets", b.in.image, "--scan-types=pkg,secret"), b.scan("the same scan without secrets", b.in.image), 3},
	}, nil
}
