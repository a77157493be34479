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
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/test/fixtures"
	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

const user = 4242

// TestContainersHaveTheShapeOfApptainers compares what the double makes with what was observed of Apptainer 1.5.3: namespaces,
// mounts, the open image, and what root on the machine sees below /proc/PID/root.
func TestContainersHaveTheShapeOfApptainers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	program, dir := workplace(t)
	const namespaces = "user mnt"
	for _, c := range []struct {
		name       string
		args       []string
		image      string
		namespaces string // that differ from this process's
		source     string // file system type of session/rootfs
		root       string // file system type of the container's /
		denied     string // to root on the machine: the first directory below /proc/PID/root
		helpers    int
	}{
		{"exec", nil, "a.sif", namespaces, "fuse.squashfuse_ll", "overlay", "/root", 1},
		{"exec of plain SquashFS", nil, "a.sqsh", namespaces, "fuse.squashfuse_ll", "overlay", "/root", 1},
		{"exec --pid", []string{"--pid"}, "a.sif", namespaces + " pid", "fuse.squashfuse_ll", "overlay", "/root", 1},
		{"exec --containall", []string{"--containall"}, "a.sif", namespaces + " pid ipc", "fuse.squashfuse_ll", "overlay", "/root", 1},
		{"exec --fakeroot", []string{"--fakeroot"}, "a.sif", namespaces, "fuse.squashfuse_ll", "overlay", "", 1},
		{"exec by the setuid build", []string{"--setuid"}, "a.sif", "mnt", "fuse", "overlay", "", 1},
		{"exec by the setuid build with a kernel mount", []string{"--setuid", "--kernel-squashfs"}, "a.sif", "mnt", "squashfs", "overlay", "", 0},
		{"exec of ext3 by the setuid build", []string{"--setuid", "--kernel-squashfs"}, "a.img", "mnt", "ext3", "overlay", "", 0},
		{"exec of a SIF with an ext3 partition", []string{"--setuid", "--kernel-squashfs"}, "ext3.sif", "mnt", "ext3", "overlay", "", 0},
		{"exec of a SIF with an overlay of its own", []string{"--setuid", "--kernel-squashfs"}, "layered.sif", "mnt", "squashfs", "overlay", "", 0},
		{"exec of an encrypted SIF", []string{"--setuid", "--kernel-squashfs", "--decrypted=" + filepath.Join(dir, "a.sqsh")}, "locked.sif", "mnt", "squashfs", "overlay", "", 0},
		{"exec --writable-tmpfs by the setuid build", []string{"--setuid", "--writable-tmpfs"}, "a.sif", "mnt", "fuse", "fuse", "", 2},
		{"exec --writable-tmpfs", []string{"--writable-tmpfs"}, "a.sif", namespaces, "fuse.squashfuse_ll", "fuse.fuse-overlayfs", "/", 2},
		{"exec --underlay", []string{"--underlay"}, "a.sif", namespaces, "fuse.squashfuse_ll", "tmpfs", "/etc", 1},
		{"exec of a sandbox", nil, "sandbox", namespaces, "", "overlay", "/root", 0},
		{"an instance", []string{"instance"}, "a.sif", namespaces + " pid", "fuse.squashfuse_ll", "overlay", "/root", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			kind, name, args := "exec", []string(nil), c.args
			if len(args) > 0 && args[0] == "instance" {
				kind, name, args = "instance", []string{"web"}, args[1:]
			}
			line := append([]string{kind, "--user=" + strconv.Itoa(user), "--scratch-files=50000", "--home=" + filepath.Join(dir, "home")}, args...)
			line = append(append(line, filepath.Join(dir, c.image)), name...)
			run, err := live.Start(program, append(line, live.Sleep, "infinity")...)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := run.Stop(); err != nil {
					t.Error(err)
				}
			}()
			got := run.Containers[0]
			equal(t, "namespaces", differing(got.Command), c.namespaces)
			starter, container := mounts(t, got.Starter), mounts(t, got.Command)
			session := ""
			for point := range starter {
				if strings.HasSuffix(point, "/apptainer/mnt/session/final") {
					session = filepath.Dir(point)
				}
			}
			equal(t, "device of the root", container["/"].device, starter[session+"/final"].device)
			equal(t, "type of the root", container["/"].kind, c.root)
			if c.source != "" {
				equal(t, "type of session/rootfs", starter[session+"/rootfs"].kind, c.source)
			}
			if container["/"].propagation != "unbindable" {
				t.Errorf("/ can be bound: %+v", container["/"])
			}
			for point := range container {
				if strings.Contains(point, "/mnt/session") {
					t.Errorf("the container sees its starter's %s", point)
				}
			}
			equal(t, "helpers", len(got.Helpers), c.helpers)
			if !holds(got.Starter, filepath.Join(dir, c.image)) {
				t.Error("the starter does not hold the image open")
			}
			equal(t, "denied", denied(t, fmt.Sprintf("/proc/%d/root", got.Command), container["/"].device), c.denied)
		})
	}
}

func TestNothingIsLeftOfContainers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	program, dir := workplace(t)
	cgroup := filepath.Join(cgroups2(t), "apptainer-double.test", "job_1", "step_0", "user")
	run, err := live.Start(program, "exec", "--ranks=3", "--user="+strconv.Itoa(user), "--cgroup="+cgroup, filepath.Join(dir, "a.sif"), live.Sleep)
	if err != nil {
		t.Fatal(err)
	}
	for rank, c := range run.Containers {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.Command))
		if want := fmt.Sprintf("/job_1/step_0/user/task_%d\n", rank); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("rank %d: %v, cgroups %s, want %s", rank, err, text, want)
		}
	}
	if err := run.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, c := range run.Containers {
		for _, pid := range append(c.Helpers, c.Starter, c.Command) {
			if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
				t.Errorf("process %d: %v", pid, err)
			}
		}
	}
	if top := filepath.Dir(filepath.Dir(filepath.Dir(cgroup))); exists(top) {
		t.Errorf("%s is left", top)
	}
}

func TestContainersEndWithTheTestThatStartedThem(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	program, dir := workplace(t)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "exec", filepath.Join(dir, "a.sif"), live.Sleep)
	cmd.Stdout = writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	writer.Close()
	if _, err := reader.Read(make([]byte, 1)); err != nil { // it runs
		t.Fatal(err)
	}
	reader.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// workplace builds the double and images for it in a directory that every user can enter.
func workplace(t *testing.T) (program, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "apptainer-double-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program = filepath.Join(dir, "apptainer-double")
	image := filepath.Join(dir, "a.sqsh")
	for _, err := range []error{
		os.Chmod(dir, 0o755),
		live.Build(program),
		fixtures.NewTree(filepath.Join(dir, "sandbox")).With(fixtures.Debian).With(live.Program).Dir("root").Mode("root", 0o700).Done(),
		fixtures.NewTree(filepath.Join(dir, "home")).File("private", "x").Done(),
		fixtures.Squashfs{}.Make(filepath.Join(dir, "sandbox"), image),
		fixtures.NewSIF("amd64").System(image).Write(filepath.Join(dir, "a.sif")),
		fixtures.Ext3(filepath.Join(dir, "sandbox"), filepath.Join(dir, "a.img"), 16<<20),
		fixtures.NewSIF("amd64").Partition(fixtures.FSExt3, fixtures.PartPrimary, 1, filepath.Join(dir, "a.img")).Write(filepath.Join(dir, "ext3.sif")),
		fixtures.NewTree(filepath.Join(dir, "layer")).Dir("upper").Dir("work").Done(),
		fixtures.Ext3(filepath.Join(dir, "layer"), filepath.Join(dir, "layer.img"), 16<<20),
		fixtures.NewSIF("amd64").System(image).Partition(fixtures.FSExt3, fixtures.PartOverlay, 1, filepath.Join(dir, "layer.img")).Write(filepath.Join(dir, "layered.sif")),
		fixtures.NewSIF("amd64").Partition(fixtures.FSEncrypted, fixtures.PartPrimary, 1, filepath.Join(dir, "home/private")).Write(filepath.Join(dir, "locked.sif")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return program, dir
}

// cgroups2 is where the unified hierarchy is mounted.
func cgroups2(t *testing.T) string {
	t.Helper()
	for point, m := range mounts(t, os.Getpid()) {
		if m.kind == "cgroup2" {
			return point
		}
	}
	t.Skip("no cgroup v2 hierarchy is mounted")
	return ""
}

// mount is a line of mountinfo (proc_pid_mountinfo(5)).
type mount struct{ device, kind, propagation string }

func mounts(t *testing.T, pid int) map[string]mount {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]mount{}
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(line, " - ")
		fields := strings.Fields(left)
		all[fields[4]] = mount{fields[2], strings.Fields(right)[0], strings.Join(fields[6:], " ")}
	}
	return all
}

func differing(pid int) string {
	var names []string
	for _, name := range []string{"user", "mnt", "pid", "ipc"} {
		own, _ := os.Readlink("/proc/self/ns/" + name)
		its, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
		if own != its {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

func holds(pid int, path string) bool {
	want, err := os.Stat(path)
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the pattern is well-formed
	for _, file := range files {
		if got, statErr := os.Stat(file); err == nil && statErr == nil && os.SameFile(got, want) {
			return true
		}
	}
	return false
}

// denied walks a container's root and returns the first directory of the image that root on the machine cannot open. Other
// mounts, which directories tell by their device, are not the image's.
func denied(t *testing.T, root, device string) string {
	t.Helper()
	first := ""
	err := filepath.WalkDir(root+"/", func(path string, entry fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil && entry.IsDir() {
			err = unix.Lstat(path, &st)
		}
		if errors.Is(err, unix.EACCES) {
			first = "/" + strings.Trim(strings.TrimPrefix(path, root), "/")
			return fs.SkipAll
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		if own := fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)); own != device {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return first
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
