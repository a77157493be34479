package execution

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mount makes files as cgroup file systems have them.
func mount(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTheSmallestLimitAboveTheProcessCounts(t *testing.T) {
	for name, c := range map[string]struct {
		self  string
		files map[string]string
		want  int64
	}{
		"v2, own limit":                  {"0::/pod/c\n", map[string]string{"pod/c/memory.max": "1000\n", "pod/memory.max": "max\n"}, 1000},
		"v2, the pod's limit":            {"0::/pod/c\n", map[string]string{"pod/c/memory.max": "5000\n", "pod/memory.max": "1000\n"}, 1000},
		"v2, a container sees the root":  {"0::/\n", map[string]string{"memory.max": "1000\n"}, 1000},
		"v2, none":                       {"0::/pod\n", map[string]string{"pod/memory.max": "max\n"}, 0},
		"v1":                             {"4:memory:/a\n0::/\n", map[string]string{"memory/a/memory.limit_in_bytes": "1000\n"}, 1000},
		"v1, the host's path":            {"4:cpu,memory:/kubepods/x\n", map[string]string{"memory/memory.limit_in_bytes": "1000\n"}, 1000},
		"v1, none":                       {"4:memory:/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"nothing that can be understood": {"x\n::\n", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := memoryLimit(mount(t, c.files), []byte(c.self)); got != c.want {
				t.Errorf("limit %d, want %d", got, c.want)
			}
		})
	}
}

func TestAnEngineGetsWhatTheAgentAndATmpInMemoryLeave(t *testing.T) {
	const gi = 1 << 30
	for name, c := range map[string]struct{ limit, written, want int64 }{
		"a limit":                           {10 * gi, 0, 9 * gi},
		"a small limit":                     {100 << 20, 0, 68 << 20},
		"a tmp in memory":                   {10 * gi, 4 * gi, 5 * gi},
		"a tmp in memory that takes it all": {4 * gi, 4 * gi, 32 << 20},
		"no limit":                          {0, 4 * gi, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := memoryBudget(c.limit, c.written); got != c.want {
				t.Errorf("%d MiB, want %d", got>>20, c.want>>20)
			}
		})
	}
	if !inMemory("/dev/shm") || inMemory("/proc") {
		t.Error("a tmpfs is not told from another file system")
	}
}

func TestCgroupsAreLookedAtFromTheLowest(t *testing.T) {
	got := memoryCgroups("/m", []byte("3:cpuset:/x\n4:memory:/a/b\n0::/c/../d\n"))
	want := []string{"/m/memory/a/b", "/m/memory/a", "/m/memory", "/m/d", "/m"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheCounterOfKilledProcessesIsFound(t *testing.T) {
	dir := mount(t, map[string]string{"events": "low 0\noom 4\noom_kill 3\n", "none": strings.Repeat("x\n", 3)})
	if n, ok := field(filepath.Join(dir, "events"), "oom_kill"); !ok || n != 3 {
		t.Errorf("got %d, %v", n, ok)
	}
	if _, ok := field(filepath.Join(dir, "none"), "oom_kill"); ok {
		t.Error("found in a file that does not have it")
	}
}
