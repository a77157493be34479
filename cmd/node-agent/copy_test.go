// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAProgramIsCopiedForEverybodyToExecute(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	for range 2 { // a container that is started again does it again
		printed.Reset()
		if code := run(context.Background(), []string{"copy", from, to}, &printed, &printed); code != exitDone {
			t.Fatalf("exit code %d: %s", code, printed.String())
		}
	}
	if want := fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte("program")), from); printed.String() != want {
		t.Errorf("printed %q, want %q", printed.String(), want)
	}
	info, err := os.Stat(to)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o555 || info.Size() != int64(len("program")) {
		t.Errorf("the copy has mode %v and %d bytes", info.Mode(), info.Size())
	}
}

func TestWhatIsNoProgramIsNotCopied(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		from string
		most int64
		says string
	}{
		"a file that is not there": {filepath.Join(dir, "nowhere"), 1, "no such file"},
		"a directory":              {dir, 1, "no regular file"},
		"a device":                 {"/dev/zero", 1, "no regular file"},
		"more than the volume has": {large, 99, "it has more than 0 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			to := filepath.Join(t.TempDir(), "to")
			if _, err := copyProgram(c.from, to, c.most); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if _, err := os.Stat(to); err == nil {
				t.Error("something is left")
			}
		})
	}
}
