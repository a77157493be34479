// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

// start starts containers that end with the test.
func start(t *testing.T, args ...string) *live.Run {
	t.Helper()
	return live.StartFor(t, double, args...)
}

// startImage starts a command in containers of an image below dir, as user.
func startImage(t *testing.T, image string, flags ...string) *live.Run {
	t.Helper()
	line := append([]string{"exec", "--user=" + strconv.Itoa(user)}, flags...)
	return start(t, append(line, at(image), live.Sleep, "infinity")...)
}

// result is what a run of the agent left.
type result struct {
	exit           int
	stdout, stderr string
	cpu            time.Duration
}

// call runs the agent to its end.
func call(t *testing.T, args ...string) result {
	t.Helper()
	return finish(t, exec.Command(agent, args...))
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
}

// listed is an item of node-agent ps -o json.
type listed struct {
	v1alpha1.InventoryContainer
	Node string `json:"node"`
}

// ps lists the containers that run from images below dir: other tests start some, too.
func ps(t *testing.T) []listed {
	t.Helper()
	r := call(t, "ps", "-o", "json")
	var list struct{ Items []listed }
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil || r.exit != 0 {
		t.Fatalf("ps ended with %d: %v\n%s%s", r.exit, err, r.stdout, r.stderr)
	}
	return slices.DeleteFunc(list.Items, func(l listed) bool { return !strings.HasPrefix(l.Image, dir+"/") })
}

// only returns the one container that ps lists.
func only(t *testing.T) listed {
	t.Helper()
	items := ps(t)
	if len(items) != 1 {
		t.Fatalf("ps lists %d groups, want one: %+v", len(items), items)
	}
	return items[0]
}

// scanPID scans the container of a process and returns its report; nil where there is none.
func scanPID(t *testing.T, pid int, flags ...string) (*v1alpha1.ScanReport, result) {
	t.Helper()
	out := t.TempDir()
	args := append([]string{"scan", "--pid=" + strconv.Itoa(pid), "--formats=json", "--output-dir=" + out}, flags...)
	r := call(t, args...)
	return reportIn(t, out), r
}

// reportIn reads the only report below an output directory.
func reportIn(t *testing.T, out string) *v1alpha1.ScanReport {
	t.Helper()
	files, _ := filepath.Glob(out + "/*/report.json") // the pattern is well-formed
	if len(files) > 1 {
		t.Fatalf("%d reports of one image: %v", len(files), files)
	}
	if len(files) == 0 {
		return nil
	}
	text, err := os.ReadFile(files[0])
	report := &v1alpha1.ScanReport{}
	if err == nil {
		err = json.Unmarshal(text, report)
	}
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
