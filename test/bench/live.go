// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

// The names of what live compares.
const (
	runningScan = "scan of a running container"
	rootWalk    = "walk of /proc/PID/root"
)

// live compares the scan of a running container's image with a walk of the container's root, which reads no file's content.
// What either costs the container's own processes counts: they serve the file system, in the user's job. stop ends the container.
func (b *bench) live() (rows []comparison, stop func() error, err error) {
	double := filepath.Join(b.work.dir, "apptainer-double")
	if err := live.Build(double); err != nil {
		return nil, nil, err
	}
	// The image lies where only root comes by, so root runs the container.
	run, err := live.Start(double, "exec", "--setuid", "--user=0", "--cleanenv", b.in.image, "/usr/bin/sleep", "infinity")
	if err != nil {
		return nil, nil, err
	}
	c := run.Containers[0]
	users := append(c.Helpers, c.Starter, c.Command)
	scan := b.scan(runningScan, "", "--pid="+strconv.Itoa(c.Command))
	scan.args = scan.args[:len(scan.args)-1] // the process is the target
	scan.users = users
	scan.before = forgetNames
	return []comparison{{
		goal:  "≤ 1.0 CPU",
		ours:  scan,
		peer:  command{name: rootWalk, args: shell(fmt.Sprintf("find /proc/%d/root/ -xdev -printf %%s >/dev/null", c.Command)), users: users, before: forgetNames},
		times: 3,
	}}, run.Stop, nil
}

// forgetNames makes the kernel forget names and inodes, so that each walk is the first one of a container.
func forgetNames() error { return os.WriteFile("/proc/sys/vm/drop_caches", []byte("2"), 0) }
