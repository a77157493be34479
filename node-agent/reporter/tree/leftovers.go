// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// abandoned is how long nothing must have happened in a writer's directory before another writer
// removes it. Folders take seconds to write.
const abandoned = 24 * time.Hour

// Tidy removes what this writer left when it died, and what others left that never came back.
func (t *Tree) Tidy() error {
	top, err := t.top()
	if err != nil {
		return err
	}
	defer top.close()
	staging, err := top.enter(incoming)
	if err != nil {
		return err
	}
	defer staging.close()
	if err := staging.remove(t.writer); err != nil {
		return err
	}
	own, err := staging.enter(t.writer)
	if err != nil {
		return err
	}
	defer own.close()
	// The directory just made tells the volume's own time: a file server's clock may be wrong.
	now, err := own.changed()
	if err != nil {
		return err
	}
	return staging.removeOlder(now.Add(-abandoned))
}

// Leave removes the writer's own directory. The tree can still be used.
func (t *Tree) Leave() error {
	top, err := t.top()
	if err != nil {
		return err
	}
	defer top.close()
	staging, err := top.find(incoming)
	if err != nil {
		return err
	}
	defer staging.close()
	return staging.remove(t.writer)
}

func (d *directory) changed() (time.Time, error) {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return time.Time{}, d.failed("stat", "", err)
	}
	return time.Unix(st.Mtim.Unix()), nil
}

// maxListed bounds how many entries are looked at. Who finds more has another problem.
const maxListed = 10_000

// removeOlder removes the entries of d that nothing was changed in since then.
func (d *directory) removeOlder(than time.Time) error {
	dir, err := os.Open("/proc/self/fd/" + strconv.Itoa(d.fd))
	if err != nil {
		return d.failed("list", "", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxListed)
	if err != nil {
		return d.failed("list", "", err)
	}
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			continue // gone by itself
		}
		if !time.Unix(st.Mtim.Unix()).Before(than) {
			continue
		}
		if err := d.remove(name); err != nil {
			return err
		}
	}
	return nil
}
