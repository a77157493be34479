// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// buildDoubles builds the strict stand-ins of qscanner and trivy: they refuse what is no real directory.
func buildDoubles(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(at("qscanner-double")); err == nil {
		return
	}
	build := exec.Command("go", "build", "-trimpath", "-o", dir, "github.com/sifscan/sifscan-operator/test/qscanner-double",
		"github.com/sifscan/sifscan-operator/test/trivy-double")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the doubles: %v\n%s", err, out)
	}
}

// executedEngines are those that need a directory, and how they are called without a platform or a database.
var executedEngines = map[string][]string{
	"qscanner": {"--engine=qscanner", "--mode=inventory-only", "--qscanner-binary=qscanner-double"},
	"trivy":    {"--engine=trivy", "--mode=inventory-only", "--trivy-binary=trivy-double"},
}

// The text of /proc/PID/root is "/": an engine that was given that path would read this machine.
func TestAnExecutedEngineGetsAnExtractedDirectoryAndNeverTheRootOfAProcess(t *testing.T) {
	buildDoubles(t)
	makeOpaque(t)
	copyOf(t, "science.sif", "gone.sif")
	for _, c := range []struct {
		name, image string
		flags       []string
		coverage    string
	}{
		{"a SIF", "science.sif", nil, "complete"},
		{"a SIF that was deleted", "gone.sif", nil, "complete"},
		{"a SIF with a writable layer", "science.sif", []string{"--writable-tmpfs"}, "partial"},
		{"a sandbox", "sandbox", []string{"--setuid"}, "complete"},
		{"an ext3 image", "old.img", mounted, "complete"},
		{"an encrypted SIF", "locked.sif", append([]string{"--decrypted=" + at("plain.sqsh")}, mounted...), "complete"},
	} {
		run := startImage(t, c.image, append(c.flags, "--home="+at("home"), "--scratch-files=50000")...)
		if c.image == "gone.sif" {
			if err := os.Remove(at(c.image)); err != nil {
				t.Fatal(err)
			}
		}
		for name, flags := range executedEngines {
			t.Run(c.name+" by "+name, func(t *testing.T) {
				report, directory := executed(t, run.Containers[0].Command, flags)
				if !strings.HasPrefix(directory, at("tmp-")) {
					t.Errorf("the engine was given %q", directory)
				}
				equal(t, "packages", report.Report.Summary.Packages, debianPackages)
				equal(t, "coverage", report.Report.Outcome.Coverage, c.coverage)
			})
		}
		if err := run.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// executedCall finds the last argument of the engine, which the agent executes by its descriptor.
var executedCall = regexp.MustCompile(`execve\("/proc/self/fd/[0-9]+", \[.*"([^"]*)"\], `)

// executed scans a container with an engine in a tmp of 256Mi. It returns the report and the directory that the engine was given.
func executed(t *testing.T, pid int, flags []string) (report *v1alpha1.ScanReport, directory string) {
	t.Helper()
	tmp, err := os.MkdirTemp(dir, "tmp-")
	if err != nil {
		t.Fatal(err)
	}
	out, trace := t.TempDir(), filepath.Join(t.TempDir(), "trace")
	line := append([]string{"-f", "-qq", "-s", "4096", "-o", trace, "-e", "trace=execve", "-e", "signal=none", agent, "scan", fmt.Sprint("--pid=", pid),
		"--output-dir=" + out, "--tmp-dir=" + tmp, "--tmp-limit=256Mi"}, flags...)
	cmd := exec.Command("strace", line...)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	r := finish(t, cmd)
	if report = reportIn(t, out); report == nil || r.exit != 0 {
		t.Fatalf("scan ended with %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	call := executedCall.FindStringSubmatch(string(text))
	if call == nil {
		t.Fatalf("the engine was not executed:\n%s", text)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind in tmp: %v %v", left, err)
	}
	return report, call[1]
}
