// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/yaml"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/test/fixtures"
	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

// site is a place with the double of Apptainer and images that everybody can enter.
type site struct{ dir, double, sif, box string }

func newSite(t *testing.T) site {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("the containers of this test need root")
	}
	dir := t.TempDir()
	s := site{dir, filepath.Join(dir, "double"), filepath.Join(dir, "pytorch.sif"), filepath.Join(dir, "box")}
	squashfs := filepath.Join(dir, "squashfs")
	tree := fixtures.NewTree(s.box).With(fixtures.Debian).With(live.Program)
	err := errors.Join(live.Build(s.double), tree.Done(), fixtures.Squashfs{}.Make(tree.Root, squashfs), fixtures.NewSIF("amd64").System(squashfs).Write(s.sif))
	for at := dir; err == nil && at != "/" && at != os.TempDir(); at = filepath.Dir(at) {
		err = os.Chmod(at, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s site) start(t *testing.T, args ...string) *live.Run {
	t.Helper()
	return live.StartFor(t, s.double, append(args, live.Sleep, "infinity")...)
}

func TestPSListsWhatRuns(t *testing.T) {
	s := newSite(t)
	ranks := s.start(t, "exec", "--user=4242", "--ranks=3", s.sif)
	s.start(t, "instance", "--user=4243", "--writable-tmpfs", s.sif, "web")
	code, table, stderr := agent(context.Background(), "ps")
	if code != exitDone {
		t.Fatal(code, stderr)
	}
	lines := map[string]string{}
	for line := range strings.Lines(table) {
		for _, user := range []string{"USER", "4242", "4243"} {
			if strings.Contains(line, s.sif) && strings.Contains(line, user) || strings.HasPrefix(line, "NODE") && user == "USER" {
				lines[user] = strings.Join(strings.Fields(line), " ")
			}
		}
	}
	if lines["USER"] != "NODE PID USER IMAGE MODE SLURM-JOB POD AGE COVERAGE" {
		t.Errorf("%s", table)
	}
	for user, parts := range map[string][]string{"4242": {"(+2)", "exec - -"}, "4243": {"instance,writable", "partial"}} {
		for _, part := range parts {
			if !strings.Contains(lines[user], part) {
				t.Errorf("%q has no %q", lines[user], part)
			}
		}
	}
	for format, decode := range map[string]func([]byte, any) error{
		"json": json.Unmarshal, "yaml": func(b []byte, v any) error { return yaml.Unmarshal(b, v) },
	} {
		var list struct {
			Items []struct {
				Node string `json:"node"`
				v1alpha1.InventoryContainer
			} `json:"items"`
		}
		_, out, _ := agent(context.Background(), "ps", "-o", format)
		if err := decode([]byte(out), &list); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, i := range list.Items {
			found = found || i.Node != "" && i.Ranks == 3 && len(i.PIDs) == 3 && i.User == 4242 && i.Image == s.sif && int(i.PIDs[0]) > ranks.Containers[0].Starter
		}
		if !found {
			t.Errorf("%s: %s", format, out)
		}
	}
	if code, _, _ := agent(context.Background(), "ps", "-o", "xml"); code != exitUsage {
		t.Errorf("-o xml: %d", code)
	}
}

func TestScanningWhatRuns(t *testing.T) {
	s := newSite(t)
	sif := s.start(t, "exec", "--user=4242", "--ranks=2", s.sif).Containers
	box := s.start(t, "exec", "--user=4242", s.box).Containers
	outside := exec.Command("sleep", "infinity")
	outside.Args = []string{"Apptainer runtime parent: pytorch.sif", "infinity"} // whatever a process calls itself
	if err := outside.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = outside.Process.Kill(); _ = outside.Wait() }()
	for name, c := range map[string]struct {
		args   []string
		code   int
		stdout []string // parts
		stderr string
	}{
		"by the command's number":        {[]string{"--pid", fmt.Sprint(sif[1].Command)}, exitDone, []string{s.sif + "  3 packages"}, ""},
		"by the starter's number":        {[]string{"--pid", fmt.Sprint(box[0].Starter)}, exitDone, []string{s.box + "  3 packages"}, ""},
		"by a pattern":                   {[]string{"--image-pattern", "*pytorch*"}, exitDone, []string{s.sif + "  3 packages"}, ""},
		"all of them":                    {[]string{"--image-pattern", s.dir + "/*"}, exitDone, []string{s.sif, s.box}, ""},
		"a process outside":              {[]string{"--pid", fmt.Sprint(outside.Process.Pid)}, exitFailed, nil, "not a container"},
		"a process that is no more":      {[]string{"--pid", "4194300"}, exitFailed, nil, "vanished"},
		"a pattern that matches nothing": {[]string{"--image-pattern", "pytorch"}, exitFailed, nil, "NoTargets"},
		"a pattern and a target":         {[]string{"--image-pattern", "*", s.sif}, exitUsage, nil, "leave out the TARGETs"},
		"a pattern that is none":         {[]string{"--image-pattern", "[a"}, exitUsage, nil, "no ]"},
		"a kind of directory":            {[]string{"--image-pattern", "*", "--kind", "rootfs"}, exitUsage, nil, "--kind"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := agent(context.Background(), append([]string{"scan", "--output-dir", t.TempDir()}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.stderr) || strings.Count(stdout, "\n") != len(c.stdout) {
				t.Errorf("code %d, %s%s", code, stdout, stderr)
			}
			for _, part := range c.stdout {
				if !strings.Contains(stdout, part) {
					t.Errorf("%q has no %q", stdout, part)
				}
			}
		})
	}
}

// answering is the reporter's end of a pod: it knows nothing and stores everything.
func answering(t *testing.T, results, state string) (events func() []handover.Event) {
	t.Helper()
	hand, err := handover.OpenReporter(results, state)
	if err != nil {
		t.Fatal(err)
	}
	if err := hand.TellKnown(func(func(handover.Known) error) error { return nil }); err != nil {
		t.Fatal(err)
	}
	var seen []handover.Event
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- hand.Follow(ctx, func(e handover.Event) error {
			seen = append(seen, e)
			switch {
			case e.Folder != "":
				return hand.Ack(handover.Ack{Folder: e.Folder})
			case e.Type == handover.EventFinished:
				return hand.Ack(handover.Ack{Finished: true})
			}
			return nil
		}, func() error { return nil })
	}()
	return func() []handover.Event {
		cancel()
		if err := errors.Join(<-ended, hand.Close()); err != nil {
			t.Error(err)
		}
		return seen
	}
}

func TestAPodScansWhatItsOpenerHandsOut(t *testing.T) {
	s := newSite(t)
	s.start(t, "exec", "--user=4242", "--ranks=2", s.sif)
	s.start(t, "exec", "--user=4242", s.box)
	socket := filepath.Join(t.TempDir(), "s")
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"opener", "--socket", socket}, new(bytes.Buffer), new(bytes.Buffer))
	}()
	defer func() {
		end()
		if code := <-ended; code != exitDone {
			t.Errorf("the opener ended with %d", code)
		}
	}()
	scan := func(args ...string) (all []handover.Event, left string) {
		results, state, log := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(log, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		events := answering(t, results, state)
		args = append([]string{"scan", "--opener", socket, "--node", "n1", "--results-dir", results, "--state-dir", state, "--termination-log", log}, args...)
		code, _, stderr := agent(context.Background(), args...)
		text, _ := os.ReadFile(log)
		if code != exitDone {
			t.Errorf("%v: %d, %s", args, code, stderr)
		}
		return events(), string(text)
	}
	of := func(events []handover.Event, kind handover.EventType) (list []handover.Event) {
		for _, e := range events {
			if e.Type == kind {
				list = append(list, e)
			}
		}
		return list
	}

	listed, left := scan("--list-only", "--image-pattern", s.dir+"/*")
	told := of(listed, handover.EventContainer)
	if len(told) != 2 || told[0].Container.Image != s.sif || told[0].Container.Ranks != 2 || len(of(listed, handover.EventEntry)) != 0 || left != "" {
		t.Fatalf("listed %+v, left %q", listed, left)
	}
	scanned, left := scan("--image-key", told[0].Container.Key)
	entries, told := of(scanned, handover.EventEntry), of(scanned, handover.EventContainer)
	if len(entries) != 1 || entries[0].Path != s.sif || entries[0].Outcome != v1alpha1.EntryScanned || entries[0].Live == "" || left != "" {
		t.Errorf("entries %+v, left %q", entries, left)
	}
	if len(told) != 2 || told[1].Container.Report == "" || told[1].Container.Coverage != v1alpha1.CoverageComplete {
		t.Errorf("told %+v", told)
	}
	if _, left = scan("--image-key", "v1-"+strings.Repeat("0", 64)); !strings.Contains(left, v1alpha1.ReasonNoTargets) {
		t.Errorf("a key that nobody has: %q", left)
	}
	if _, left = scan("--slurm-job", "18446744073709551615"); !strings.Contains(left, v1alpha1.ReasonNoTargets) {
		t.Errorf("a job that is not there: %q", left)
	}
}

// crowded lists one container of many more.
type crowded struct{ opener.Opener }

func (crowded) List(context.Context) (*opener.Listing, error) {
	return &opener.Listing{Containers: make([]opener.Container, 1), Left: 3}, nil
}

func TestAListThatLeavesContainersOutIsNoList(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- opener.Serve(ctx, socket, uint32(os.Getuid()), crowded{}, logr.Discard()) }()
	defer func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	results, state, log := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	within, cancel := context.WithTimeout(context.Background(), 30*time.Second) // nobody plays the reporter
	defer cancel()
	code, _, stderr := agent(within, "scan", "--opener", socket, "--node", "n1", "--list-only",
		"--results-dir", results, "--state-dir", state, "--termination-log", log)
	const says = "the list of what runs on n1 is not whole: 3 containers"
	said, err := os.ReadFile(log)
	if err != nil || code != exitFailed || !strings.Contains(stderr, says) || !strings.Contains(string(said), says) || !strings.Contains(string(said), v1alpha1.ReasonReportUnavailable) {
		t.Errorf("code %d, %s; the pod says %s, %v", code, stderr, said, err)
	}
}

func TestAgesAndJobsAreShownShort(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(10_000, 0)
	item := psItem{Node: "n1"}
	item.Image, item.User, item.PIDs, item.Ranks, item.Mode = "/a.sif", 4242, []int32{7}, 1, v1alpha1.ContainerExec
	item.Since.Time = now.Add(-3 * time.Hour)
	item.Slurm = &v1alpha1.InventorySlurm{Job: "7", Step: "batch", Source: v1alpha1.SlurmFromEnvironment}
	item.Pod = &v1alpha1.InventoryPod{UID: "u-1"}
	if err := psTable(&out, []psItem{item}, now); err != nil {
		t.Fatal(err)
	}
	if want := "n1 7 4242 /a.sif exec 7.batch (claimed) u-1 3h -"; !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
		t.Errorf("%s has no %q", &out, want)
	}
}
