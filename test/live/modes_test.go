// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"slices"
	"strings"
	"testing"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

// modes are the ways to start a container, and what is said of each.
var modes = []struct {
	name     string
	image    string
	flags    []string
	kind     string // of the report's target
	coverage string
	writable bool
}{
	{"exec", "science.sif", nil, "sif", "complete", false},
	{"exec of plain SquashFS", "plain.sqsh", nil, "squashfs", "complete", false},
	{"exec --pid", "science.sif", []string{"--pid"}, "sif", "complete", false},
	{"exec --containall", "science.sif", []string{"--containall"}, "sif", "complete", false},
	{"exec --fakeroot", "science.sif", []string{"--fakeroot"}, "sif", "complete", false},
	{"exec by the setuid build", "science.sif", []string{"--setuid"}, "sif", "complete", false},
	{"exec by the setuid build, mounted by the kernel", "science.sif", []string{"--setuid", "--kernel-squashfs"}, "sif", "complete", false},
	{"exec --underlay", "science.sif", []string{"--underlay"}, "sif", "complete", false},
	{"exec --writable-tmpfs", "science.sif", []string{"--writable-tmpfs"}, "sif", "partial", true},
	{"exec --writable-tmpfs by the setuid build", "science.sif", []string{"--setuid", "--writable-tmpfs"}, "sif", "partial", true},
	// root on the machine may not read what only the user's root may: /root.
	{"exec of a sandbox", "sandbox", nil, "sandbox", "partial", false},
	{"exec of a sandbox by the setuid build", "sandbox", []string{"--setuid"}, "sandbox", "complete", false},
	{"exec --cleanenv", "science.sif", []string{"--cleanenv"}, "sif", "complete", false},
	{"exec of env -i", "science.sif", []string{"--bare-env"}, "sif", "complete", false},
	{"exec with an environment that names another file", "science.sif", []string{"--env=APPTAINER_CONTAINER=/etc/shadow"}, "sif", "complete", false},
}

// Each container has a home directory with a package of its own and a scratch of 50,000 files: neither is the image's.
func TestAContainerIsListedAndScannedHoweverItWasStarted(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			c := startImage(t, m.image, append(m.flags, "--home="+at("home"), "--scratch-files=50000")...).Containers[0]
			got := only(t)
			equal(t, "image", got.Image, at(m.image))
			equal(t, "user", got.User, user)
			equal(t, "mode", got.Mode, v1alpha1.ContainerExec)
			equal(t, "ranks", got.Ranks, 1)
			equal(t, "writable", got.Writable, m.writable)
			if len(got.PIDs) != 1 {
				t.Errorf("process ids: %v, want one", got.PIDs)
			}
			report, r := scanPID(t, c.Command)
			if report == nil || r.exit != 0 {
				t.Fatalf("scan ended with %d\n%s%s", r.exit, r.stdout, r.stderr)
			}
			equal(t, "kind", report.Report.Target.Kind, m.kind)
			equal(t, "path", report.Report.Target.Path, at(m.image))
			equal(t, "coverage", report.Report.Outcome.Coverage, m.coverage)
			equal(t, "packages", report.Report.Summary.Packages, debianPackages)
			if m.writable && !strings.Contains(report.Report.Outcome.Message, "not read") {
				t.Errorf("the layer that was not read is not told: %q", report.Report.Outcome.Message)
			}
		})
	}
}

func TestAnInstanceIsToldFromAnExec(t *testing.T) {
	c := start(t, "instance", "--user=4242", at("science.sif"), "web", live.Sleep, "infinity").Containers[0]
	got := only(t)
	equal(t, "mode", got.Mode, v1alpha1.ContainerInstance)
	equal(t, "image", got.Image, at("science.sif"))
	for what, pid := range map[string]int{"the command": c.Command, "the starter": c.Starter} {
		report, r := scanPID(t, pid)
		if report == nil {
			t.Fatalf("scan of %s ended with %d\n%s", what, r.exit, r.stderr)
		}
		equal(t, "packages", report.Report.Summary.Packages, debianPackages)
	}
}

func TestRanksAreOneGroup(t *testing.T) {
	run := startImage(t, "science.sif", "--ranks=3")
	got := only(t)
	equal(t, "ranks", got.Ranks, 3)
	for _, c := range run.Containers {
		if !slices.Contains(got.PIDs, int32(c.Command)) {
			t.Errorf("process %d is missing among %v", c.Command, got.PIDs)
		}
	}
	report, r := scanPID(t, run.Containers[2].Command)
	if report == nil {
		t.Fatalf("scan of the third rank ended with %d\n%s", r.exit, r.stderr)
	}
}
