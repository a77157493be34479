package program

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// self is this test's own binary, which is a program for this machine.
func self(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, content []byte, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "engine")
	if err := os.WriteFile(name, content, mode); err != nil {
		t.Fatal(err)
	}
	return name
}

func packed(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func digest(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }

func TestABinaryIsExecutedPlainOrPacked(t *testing.T) {
	plain := self(t)
	zipped := packed(t, plain)
	for name, c := range map[string]struct {
		content  []byte
		mode     os.FileMode
		unpacked int
	}{"plain": {plain, 0o755, 0}, "gzip, not executable itself": {zipped, 0o644, len(plain)}} {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			p, err := Open(write(t, c.content, c.mode), "sha256:"+strings.ToUpper(digest(c.content)), tmp)
			if err != nil {
				t.Fatal(err)
			}
			if p.Digest != "sha256:"+digest(c.content) {
				t.Errorf("digest %s", p.Digest)
			}
			if p.Unpacked != int64(c.unpacked) {
				t.Errorf("it takes %d bytes of tmp, want %d", p.Unpacked, c.unpacked)
			}
			if out, err := exec.Command(p.Path, "-test.run=^$").CombinedOutput(); err != nil {
				t.Errorf("it does not run: %v\n%s", err, out)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if left, _ := os.ReadDir(tmp); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestABinaryThatDoesNotFitIsRefused(t *testing.T) {
	plain := self(t)
	foreign := bytes.Clone(plain)
	const eMachine, s390 = 18, 22 // elf(5)
	binary.LittleEndian.PutUint16(foreign[eMachine:], s390)
	for name, c := range map[string]struct {
		path, digest, says string
	}{
		"another digest":           {write(t, plain, 0o755), digest(nil), "tampered with"},
		"another machine":          {write(t, foreign, 0o755), "", "this node is " + runtime.GOARCH},
		"a script":                 {write(t, []byte("#!/bin/sh\n"), 0o755), "", "no Linux program"},
		"nothing":                  {write(t, nil, 0o755), "", "no Linux program"},
		"not executable":           {write(t, plain, 0o644), "", "chmod +x"},
		"gzip that is cut":         {write(t, packed(t, plain)[:1000], 0o644), "", "unpack it"},
		"gzip of something else":   {write(t, packed(t, []byte("text")), 0o644), "", "no Linux program"},
		"a directory":              {t.TempDir(), "", "no regular file"},
		"a file that is not there": {"/nowhere/engine", "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			_, err := Open(c.path, c.digest, tmp)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if left, _ := os.ReadDir(tmp); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}
