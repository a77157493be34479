// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// images makes a directory with one good image, one cut copy of it and a text file.
func images(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	tree := fixtures.NewTree(filepath.Join(t.TempDir(), "tree"))
	fixtures.Debian(tree)
	squashfs := filepath.Join(t.TempDir(), "squashfs")
	good := filepath.Join(dir, "good.sif")
	err := errors.Join(
		tree.Done(),
		fixtures.Squashfs{}.Make(tree.Root, squashfs),
		fixtures.NewSIF("arm64").System(squashfs).Labels(map[string]string{"escape": "\x1b[2J"}).Write(good),
		fixtures.Truncate(good, filepath.Join(dir, "cut.sif"), 20000),
		os.WriteFile(filepath.Join(dir, "text.sif"), []byte("hello\n"), 0o644),
		os.Mkdir(filepath.Join(dir, "empty"), 0o755),
	)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// agent runs a command line.
func agent(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, args, &out, &err)
	return code, out.String(), err.String()
}

func TestExitCodesTellWhatHappened(t *testing.T) {
	dir := images(t)
	good, cut := filepath.Join(dir, "good.sif"), filepath.Join(dir, "cut.sif")
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(signalError{syscall.SIGTERM})
	for name, c := range map[string]struct {
		ctx  context.Context
		args []string
		want int
		says string
	}{
		"a good image":                         {args: []string{"scan", good}, want: 0, says: "3 packages, Debian GNU/Linux 12"},
		"a cut image":                          {args: []string{"scan", cut}, want: 1, says: "CorruptImage"},
		"a good and a cut image":               {args: []string{"scan", good, cut}, want: 1, says: "3 packages"},
		"a directory without images":           {args: []string{"scan", filepath.Join(dir, "empty")}, want: 1, says: "NoTargets"},
		"a target that is not there":           {args: []string{"scan", filepath.Join(dir, "absent.sif")}, want: 1, says: "no such file"},
		"no target":                            {args: []string{"scan"}, want: 2, says: "name at least one"},
		"a time that is over before it begins": {args: []string{"scan", "--timeout=-5s", good}, want: 2, says: "--timeout -5s: use a time above 0"},
		"a time that is none":                  {args: []string{"scan", "--timeout=abc", good}, want: 2, says: `node-agent: --timeout "abc": use a time such as 30m`},
		"a number that is none":                {args: []string{"scan", "--max-critical=x", good}, want: 2, says: `--max-critical "x": use a whole number`},
		"a switch that is neither on nor off":  {args: []string{"scan", "--offline=maybe", good}, want: 2, says: `--offline "maybe": use true or false`},
		"a list that cannot be read":           {args: []string{"scan", `--exclude-dirs=a,"b`, good}, want: 2, says: "use a list such as a,b"},
		"a database for an inventory":          {args: []string{"scan", "--mode=inventory-only", "--db=osv.db", good}, want: 2, says: "--db: leave it out, or choose another --mode"},
		"a database for qscanner":              {args: []string{"scan", "--engine=qscanner", "--db=osv.db", good}, want: 2, says: "--db: leave it out"},
		"a flag of another engine":             {args: []string{"scan", "--platform=US2", good}, want: 2, says: "--platform: leave it out or name --engine qscanner"},
		"another flag of another engine":       {args: []string{"scan", "--engine=qscanner", "--trivy-sha256=00", good}, want: 2, says: "--engine trivy"},
		"a registry and no image":              {args: []string{"scan", "docker://"}, want: 1, says: "node-agent: docker://: it names no image"},
		"a text file":                          {args: []string{"scan", filepath.Join(dir, "text.sif")}, want: 1, says: `Unsupported: not a container image: begins with the text "hello\n"  (`},
		"an unknown flag":                      {args: []string{"scan", "--frmats=x", good}, want: 2, says: "unknown flag"},
		"an unknown command":                   {args: []string{"scna"}, want: 2, says: "unknown command"},
		"an unknown engine":                    {args: []string{"scan", "--engine=other", good}, want: 2, says: "use native, qscanner or trivy"},
		"an unknown format":                    {args: []string{"scan", "--formats=pdf", good}, want: 2, says: "use json, spdx or cyclonedx"},
		"SIGTERM":                              {ctx: ended, args: []string{"scan", good}, want: 143},
		"help":                                 {args: []string{"scan", "--help"}, want: 0, says: "--output-dir"},
		"inspect of a good image":              {args: []string{"inspect", good}, want: 0, says: "arm64"},
		"inspect of a text file":               {args: []string{"inspect", filepath.Join(dir, "text.sif")}, want: 1, says: "not a container image"},
		"inspect of a directory":               {args: []string{"inspect", dir}, want: 0, says: "directory"},
		"inspect without an image":             {args: []string{"inspect"}, want: 2},
		"inspect with an unknown output":       {args: []string{"inspect", "-o", "xml", good}, want: 2, says: "use table or json"},
		"extract to a new directory":           {args: []string{"extract", good, filepath.Join(dir, "new")}, want: 0, says: "bytes on disk"},
		"extract over other files":             {args: []string{"extract", good, dir}, want: 1, says: "is not empty"},
		"extract beyond the limit":             {args: []string{"extract", "--tmp-limit=4Ki", good, filepath.Join(dir, "small")}, want: 1, says: "raise it to at least"},
		"extract of a cut image":               {args: []string{"extract", cut, filepath.Join(dir, "cut")}, want: 1, says: "CorruptImage"},
		"extract with a limit that is none":    {args: []string{"extract", "--tmp-limit=much", good, filepath.Join(dir, "much")}, want: 2, says: "such as 10Gi"},
		"a reporter outside of a scan pod":     {args: []string{"reporter"}, want: 2, says: "required flag"},
		"a results directory without its pod":  {args: []string{"scan", "--results-dir=/nowhere", good}, want: 2, says: "--state-dir"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := c.ctx
			if ctx == nil {
				ctx = context.Background()
			}
			args := c.args
			if args[0] == "scan" {
				args = append([]string{"scan", "--output-dir=" + t.TempDir()}, args[1:]...)
			}
			code, stdout, stderr := agent(ctx, args...)
			if code != c.want || !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("exit code %d, want %d with %q\nstdout: %s\nstderr: %s", code, c.want, c.says, stdout, stderr)
			}
		})
	}
}

func TestACommandThatIsNoneByItselfShowsWhatThereIs(t *testing.T) {
	for _, args := range [][]string{nil, {"db"}} {
		code, stdout, stderr := agent(context.Background(), args...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, "Available Commands:") || !strings.Contains(stderr, "node-agent: name a command") {
			t.Errorf("%q: exit code %d\nstdout: %s\nstderr: %s", args, code, stdout, stderr)
		}
	}
}

func TestNoNameOnTheCommandLineMovesTheCursor(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"scan", filepath.Join(dir, "\x1b[2J.sif")}, {"scan", "--targets-file", filepath.Join(dir, "\x1b[2J")}, {"inspect", filepath.Join(dir, "\x1b[2J")},
		{"scan", "--db", filepath.Join(dir, "\x1b[2J"), dir}, {"extract", filepath.Join(dir, "\x1b[2J"), dir}, {"db", "build", "--from", dir + "\x1b[2J", "--out", dir + "/x"},
	} {
		code, stdout, stderr := agent(context.Background(), args...)
		if code == 0 || strings.Contains(stdout+stderr, "\x1b") || !strings.Contains(stderr, `\x1b[2J`) {
			t.Errorf("%q: exit code %d\n%s%s", args, code, stdout, stderr)
		}
	}
}

func TestADirectoryIsSearchedAndEveryTargetHasItsFolder(t *testing.T) {
	dir, out := images(t), t.TempDir()
	code, stdout, _ := agent(context.Background(), "scan", "--formats=spdx,cyclonedx", "--output-dir", out, dir)
	if code != 1 || strings.Count(stdout, "\n") != 3 {
		t.Errorf("exit code %d, printed:\n%s", code, stdout)
	}
	for pattern, want := range map[string]int{"*/report.json": 3, "*/sbom.spdx.json": 1, "*/sbom.cdx.json": 1, "*/inventory.json": 0} {
		if found, _ := filepath.Glob(filepath.Join(out, pattern)); len(found) != want {
			t.Errorf("%s: found %v, want %d", pattern, found, want)
		}
	}
}

func TestInspectPrintsNoTerminalEscapesAndItsJSONKeepsTheBytes(t *testing.T) {
	good := filepath.Join(images(t), "good.sif")
	_, table, _ := agent(context.Background(), "inspect", good)
	if strings.Contains(table, "\x1b") || !strings.Contains(table, `escape=\x1b[2J`) {
		t.Errorf("the table is\n%s", table)
	}
	_, text, _ := agent(context.Background(), "inspect", "-o", "json", good)
	var got inspection
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Format != "sif" || !got.Readable || got.Labels["escape"] != "\x1b[2J" {
		t.Errorf("JSON says %+v", got)
	}
}
