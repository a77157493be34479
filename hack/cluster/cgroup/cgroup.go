// Package cgroup keeps the control groups of a cluster: those that tell which processes belong to it, and the one beneath which
// kubelet makes its own. It knows both layouts that Linux machines have: one unified hierarchy (version 2), and one hierarchy per
// controller (version 1, also with an unused version 2 beside it).
package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const mountPoint = "/sys/fs/cgroup"

// unified reports whether the machine has version 2 alone.
func unified() bool {
	var stat unix.Statfs_t
	return unix.Statfs(mountPoint, &stat) == nil && stat.Type == unix.CGROUP2_SUPER_MAGIC
}

// hierarchies lists the roots of the mounted hierarchies that the group of a pod spans.
func hierarchies() ([]string, error) {
	if unified() {
		return []string{mountPoint}, nil
	}
	entries, err := os.ReadDir(mountPoint)
	if err != nil {
		return nil, fmt.Errorf("no control groups are mounted: %w", err)
	}
	var roots []string
	for _, entry := range entries {
		// Links name one hierarchy twice: cpu -> cpu,cpuacct.
		if entry.IsDir() {
			roots = append(roots, filepath.Join(mountPoint, entry.Name()))
		}
	}
	return roots, nil
}

// tracker is the root of the hierarchy whose membership decides which processes belong to a cluster. With version 1 that is the
// hierarchy of the pids controller: nothing but counting happens there, so daemons can be members without being limited.
func tracker() string {
	if unified() {
		return mountPoint
	}
	return filepath.Join(mountPoint, "pids")
}

// Create makes a group for processes in the hierarchy that tracks them.
func Create(group string) error {
	return os.MkdirAll(filepath.Join(tracker(), group), 0o755)
}

// CreateForPods makes a group in every hierarchy: kubelet refuses a --cgroup-root that is missing in one of them, and in version 2
// a group that was not handed the controllers.
func CreateForPods(group string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := os.MkdirAll(filepath.Join(root, group), 0o755); err != nil {
			return err
		}
	}
	if unified() {
		return delegate(group)
	}
	return nil
}

// delegate hands all controllers down from the root to the group, level by level.
func delegate(group string) error {
	directory := mountPoint
	for _, name := range strings.Split(strings.Trim(group, "/"), "/") {
		controllers, err := os.ReadFile(filepath.Join(directory, "cgroup.controllers"))
		if err != nil {
			return err
		}
		for controller := range strings.FieldsSeq(string(controllers)) {
			if err := write(filepath.Join(directory, "cgroup.subtree_control"), "+"+controller); err != nil {
				return fmt.Errorf("handing the controller %s down from %s: %w", controller, directory, err)
			}
		}
		directory = filepath.Join(directory, name)
	}
	return nil
}

// Join moves a process, with all its threads, into a group.
func Join(group string, pid int) error {
	return write(filepath.Join(tracker(), group, "cgroup.procs"), strconv.Itoa(pid))
}

// Members lists the processes in a group and all groups beneath it; none if there is no such group.
func Members(group string) ([]int, error) {
	var pids []int
	err := walk(filepath.Join(tracker(), group), func(directory string) error {
		data, err := os.ReadFile(filepath.Join(directory, "cgroup.procs"))
		// Version 2 has groups of threads, which answer EOPNOTSUPP: their processes are members of the group above.
		if gone(err) || errors.Is(err, syscall.EOPNOTSUPP) {
			return nil
		}
		for field := range bytes.FieldsSeq(data) {
			pid, err := strconv.Atoi(string(field))
			if err != nil {
				return err
			}
			pids = append(pids, pid)
		}
		return err
	})
	return pids, err
}

// Remove removes a group and all groups beneath it from every hierarchy. They must have no members any more.
func Remove(group string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		var directories []string
		err := walk(filepath.Join(root, group), func(directory string) error {
			directories = append(directories, directory)
			return nil
		})
		if err != nil {
			return err
		}
		for _, directory := range slices.Backward(directories) {
			if err := os.Remove(directory); err != nil && !gone(err) {
				return err
			}
		}
	}
	return nil
}

// RemoveEmpty removes a group from every hierarchy where no other group is beneath it.
func RemoveEmpty(group string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		err := os.Remove(filepath.Join(root, group))
		if err != nil && !gone(err) && !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
	return nil
}

// walk calls visit for a directory and those beneath it, parents first. Groups come and go meanwhile.
func walk(directory string, visit func(string) error) error {
	return filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case gone(err):
			return nil
		case err != nil:
			return err
		case entry.IsDir():
			return visit(path)
		}
		return nil
	})
}

// gone reports that a group was removed: before it was opened (ENOENT) or while it was read (ENODEV).
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)
}

func write(path, text string) error {
	return os.WriteFile(path, []byte(text), 0o644)
}
