package gobuild

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// module writes a module with one program and returns its folder.
func module(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example\n\ngo 1.26.0\n",
		"go.sum":  "",
		"main.go": "package main\n\nfunc main() {}\n",
	} {
		write(t, filepath.Join(folder, name), content)
	}
	return folder
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ownCache gives the test a cache of programs, but leaves Go's own where it is: filling that takes a minute.
func ownCache(t *testing.T) {
	t.Helper()
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOCACHE", strings.TrimSpace(string(cache)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

func quiet(string, ...any) {}

func TestAProgramIsBuiltOnceAndAgainWhenWhatItIsMadeOfChanges(t *testing.T) {
	ownCache(t)
	folder := module(t)
	p := Program{Name: "example", Source: folder, Module: folder, Links: []string{"other"}}
	ensure := func() string {
		directory, err := p.Ensure(context.Background(), quiet)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"example", "other"} {
			if info, err := os.Stat(filepath.Join(directory, name)); err != nil || info.Mode()&0o100 == 0 {
				t.Fatalf("%s is no program: %v", name, err)
			}
		}
		return directory
	}
	first := ensure()
	if again := ensure(); again != first {
		t.Errorf("nothing changed, but %s became %s", first, again)
	}
	write(t, filepath.Join(folder, "main.go"), "package main\n\nfunc main() { println() }\n")
	second := ensure()
	if second == first {
		t.Error("the source changed, but the old program was kept")
	}
	p.LDFlags = []string{"-X", "main.version=2"}
	if ensure() == second {
		t.Error("the flags changed, but the old program was kept")
	}
}

func TestABuildThatFailsTellsWhyAndLeavesNoProgram(t *testing.T) {
	ownCache(t)
	folder := module(t)
	write(t, filepath.Join(folder, "main.go"), "package main\n\nfunc main() { missing() }\n")
	p := Program{Name: "example", Source: folder, Module: folder}
	for range 2 { // the second finds what the first left behind
		if _, err := p.Ensure(context.Background(), quiet); err == nil || !strings.Contains(err.Error(), "undefined: missing") {
			t.Errorf("error %v", err)
		}
	}
}

func TestProgressCountsPackagesAndKeepsMessages(t *testing.T) {
	var seen output
	for _, part := range []string{
		"go: downloading k8s.io/api v0.36.3\ngo: downl", "oading k8s.io/client-go v0.36.3\n",
	} {
		if _, err := seen.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if got := seen.progress(); got != "2 modules downloaded, compiled 0" {
		t.Errorf("while downloading: %q", got)
	}
	if _, err := seen.Write([]byte("internal/abi\nk8s.io/api/core/v1\n# example\n./main.go:3:15: undefined: x\n")); err != nil {
		t.Fatal(err)
	}
	if got := seen.progress(); got != "compiled 2" {
		t.Errorf("while compiling: %q", got)
	}
	if got := strings.Join(seen.messages, "|"); got != "# example|./main.go:3:15: undefined: x" {
		t.Errorf("messages: %q", got)
	}
}
