// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// annotationsOf returns those of the one report below a directory.
func annotationsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, "*", "report.json"))
	if len(names) != 1 {
		t.Fatalf("reports: %v", names)
	}
	var r v1alpha1.ScanReport
	text, err := os.ReadFile(names[0])
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r.Annotations
}

func TestTheVerdictOfThePlatformsPolicyIsInTheReportsMetadata(t *testing.T) {
	for exit, want := range map[string]string{"0": "", "42": v1alpha1.ReasonPolicyDenied, "43": v1alpha1.ReasonPolicyAudit} {
		t.Run("exit code "+exit, func(t *testing.T) {
			b := newBench(t, "--mode=evaluate-policy")
			b.scan(sif(t, told("exit "+exit+"\n")))
			if got := annotationsOf(t, b.out)[v1alpha1.AnnotationPolicy]; got != want {
				t.Errorf("annotation %q, want %q", got, want)
			}
		})
	}
}

func TestPackagesAndFilesAreLookedForUnlessSomethingElseIsAskedFor(t *testing.T) {
	for _, name := range []string{"native", "qscanner", "trivy"} {
		f := engineFlags{name: name}
		types, err := f.types()
		if err != nil || len(types) != 2 || types[0] != engine.ScanPackages || types[1] != engine.ScanFileInsight {
			t.Errorf("%s looks for %v, %v", name, types, err)
		}
	}
}

// What keeps the engine of a pod from working is no image's fault: it is left to the operator, once.
func TestAPodLeavesBehindWhyItsEngineCannotRun(t *testing.T) {
	image := sif(t)
	good := double(t, "qscanner-double")
	for name, c := range map[string]struct {
		token, reason, says string
		args                []string
	}{
		"a Secret with an empty token": {"", v1alpha1.ReasonCredentialsMissing, "QUALYS_ACCESS_TOKEN", []string{"--platform=US2"}},
		"a token with its line break":  {token + "\n", v1alpha1.ReasonCredentialsMissing, "line break", []string{"--platform=US2"}},
		"a CA that is not there":       {token, v1alpha1.ReasonCredentialsMissing, "the CA file", []string{"--platform=US2", "--ca-file=/nowhere/ca.crt"}},
		"a tmp that is not there":      {token, v1alpha1.ReasonInvalidSpec, "spec.tmp", []string{"--platform=US2", "--tmp-dir=/nowhere"}},
		"a platform that is none":      {token, v1alpha1.ReasonInvalidSpec, "such as US2", []string{"--platform=US-2"}},
		"another binary than promised": {token, v1alpha1.ReasonInvalidSpec, "tampered with", []string{"--platform=US2", "--qscanner-sha256=" + strings.Repeat("0", 64)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("QUALYS_ACCESS_TOKEN", c.token)
			left := filepath.Join(t.TempDir(), "termination-log")
			if err := os.WriteFile(left, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"scan", "--engine=qscanner", "--qscanner-binary=" + good, "--tmp-dir=" + t.TempDir(),
				"--results-dir=" + t.TempDir(), "--state-dir=" + t.TempDir(), "--termination-log=" + left}, c.args...)
			if code, _, stderr := agent(context.Background(), append(args, image)...); code != exitUsage {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			text, err := os.ReadFile(left)
			if err != nil {
				t.Fatal(err)
			}
			var said struct{ Reason, Message string }
			if err := json.Unmarshal(text, &said); err != nil || said.Reason != c.reason || !strings.Contains(said.Message, c.says) {
				t.Errorf("left %s (%v), want %s: …%s…", text, err, c.reason, c.says)
			}
		})
	}
}

// A SIFScan of running containers sets neither tmp nor memory nor databases: who reads a message is sent to who does.
func TestAPodOnANodeNamesWhatTheOperatorSets(t *testing.T) {
	for says, args := range map[string][]string{
		"tmp of the node's pod":           {"--engine=trivy", "--tmp-dir=/nowhere"},
		"the operator's --database-claim": {"--db=/nowhere"},
	} {
		code, _, stderr := agent(context.Background(), append([]string{"scan", "--opener=/nowhere", "--results-dir=" + t.TempDir(), "--state-dir=" + t.TempDir()}, args...)...)
		if code != exitUsage || !strings.Contains(stderr, says) || strings.Contains(stderr, "spec.") {
			t.Errorf("%v: exit code %d: %s, want %q", args, code, stderr, says)
		}
	}
}

func TestWhatABinaryUnpacksToCountsAgainstTmp(t *testing.T) {
	packed := filepath.Join(t.TempDir(), "qscanner.gz")
	plain, err := os.ReadFile(double(t, "qscanner-double"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(packed)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	if code, printed, _ := b.scan(sif(t), "--qscanner-binary="+packed, "--tmp-limit=1Mi"); code != exitUsage || !strings.Contains(printed, "the engine's binary alone unpacks to") {
		t.Errorf("exit code %d: %s", code, printed)
	}
	if code, printed, report := b.scan(sif(t), "--qscanner-binary="+packed, "--tmp-limit=64Mi"); code != exitDone || report.Summary == nil {
		t.Errorf("exit code %d: %s", code, printed)
	}

	// What an image is told to be given is enough, the unpacked binary included.
	large := sif(t, func(tree *fixtures.Tree) { tree.Filled("opt/model", 1, 48<<20) })
	b = newBench(t) // whose only report is this image's
	_, printed, report := b.scan(large, "--qscanner-binary="+packed, "--tmp-limit=40Mi")
	enough := regexp.MustCompile(`to at least (\d+Mi)$`).FindStringSubmatch(report.Outcome.Message)
	if report.Outcome.Reason != v1alpha1.ReasonTmpTooSmall || enough == nil {
		t.Fatalf("outcome %+v: %s", report.Outcome, printed)
	}
	if code, printed, report := b.scan(large, "--qscanner-binary="+packed, "--tmp-limit="+enough[1]); code != exitDone || report.Summary == nil {
		t.Errorf("with %s: exit code %d: %s", enough[1], code, printed)
	}
}

// Whose image leaves the engine no room is refused before it is extracted, however near to the limit it is.
func TestAnImageThatWouldLeaveNoRoomForTheEngineIsNotWritten(t *testing.T) {
	image := sif(t, func(tree *fixtures.Tree) { tree.Filled("opt/model", 1, 48<<20) })
	for limit := 46; limit <= 52; limit++ {
		b := newBench(t)
		long := time.Now().Add(-time.Hour)
		if err := os.Chtimes(b.tmp, long, long); err != nil {
			t.Fatal(err)
		}
		_, printed, report := b.scan(image, fmt.Sprintf("--tmp-limit=%dMi", limit))
		now, err := os.Stat(b.tmp)
		if err != nil {
			t.Fatal(err)
		}
		refused, untouched := report.Outcome.Reason == v1alpha1.ReasonTmpTooSmall, now.ModTime().Equal(long)
		if refused != untouched || !refused && report.Summary == nil {
			t.Errorf("%dMi: refused %t, nothing written %t: %+v\n%s", limit, refused, untouched, report.Outcome, printed)
		}
	}
}
