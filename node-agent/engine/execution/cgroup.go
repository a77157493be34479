package execution

import (
	"bufio"
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroups is where Linux distributions and container runtimes mount cgroup v1 and v2.
const cgroups = "/sys/fs/cgroup"

// MemoryLimit is that of the agent's own cgroup, in bytes; 0: there is none.
func MemoryLimit() int64 { return memoryLimit(cgroups, selfCgroup()) }

// MemoryBudget is how much memory an engine may take: the limit of the agent's own cgroup, less what the agent needs to read
// the engine's results, and less what may be written below dir, where that is kept in memory (tmpfs counts against the cgroup
// of whoever writes to it). 0 means that there is no limit.
func MemoryBudget(dir string, written int64) int64 {
	if !inMemory(dir) {
		written = 0
	}
	return memoryBudget(MemoryLimit(), written)
}

func memoryBudget(limit, written int64) int64 {
	if limit == 0 {
		return 0
	}
	const least, share = 32 << 20, 10
	// A tmp as large as the limit leaves the engine the little it can begin with: it then fails by its own limit and not the pod's.
	return max(limit-max(limit/share, least)-written, min(limit/2, least))
}

func inMemory(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Type == unix.TMPFS_MAGIC
}

// oomKills is how often the kernel ended a process of the agent's cgroup because it ran out of memory; 0 where it does not say.
func oomKills() int64 {
	for _, dir := range memoryCgroups(cgroups, selfCgroup()) {
		// memory.events of cgroup v2, memory.oom_control of v1 (since Linux 4.13).
		for _, name := range []string{"memory.events", "memory.oom_control"} {
			if n, ok := field(filepath.Join(dir, name), "oom_kill"); ok {
				return n
			}
		}
	}
	return 0
}

func selfCgroup() []byte {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	return text
}

// memoryLimit is the smallest limit of the cgroup and those above it that can be seen; 0 for none.
func memoryLimit(mount string, self []byte) (limit int64) {
	// cgroup v1 says "none" with the largest multiple of the page size.
	const none = 1 << 60
	for _, dir := range memoryCgroups(mount, self) {
		for _, name := range []string{"memory.max", "memory.limit_in_bytes"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				continue
			}
			n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			if err == nil && n > 0 && n < none && (limit == 0 || n < limit) {
				limit = n
			}
		}
	}
	return limit
}

// memoryCgroups lists the directories of the process's memory cgroup and of those above it, from the lowest. In a container
// the path may be the host's while the mount shows the container's cgroup as its root; directories that are not there are
// passed over by the reader.
func memoryCgroups(mount string, self []byte) (dirs []string) {
	lines := bufio.NewScanner(bytes.NewReader(self))
	for lines.Scan() {
		parts := strings.SplitN(lines.Text(), ":", 3) // hierarchy:controllers:path (cgroups(7))
		if len(parts) != 3 {
			continue
		}
		root := ""
		switch {
		case parts[0] == "0":
			root = mount
		case strings.Contains(","+parts[1]+",", ",memory,"):
			root = filepath.Join(mount, "memory")
		default:
			continue
		}
		for p := path.Clean("/" + parts[2]); ; p = path.Dir(p) {
			dirs = append(dirs, filepath.Join(root, p))
			if p == "/" {
				break
			}
		}
	}
	return dirs
}

// field reads "name number" out of a file of such lines.
func field(file, name string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == name {
			n, err := strconv.ParseInt(value, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
