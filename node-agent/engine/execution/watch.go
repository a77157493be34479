package execution

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// watch looks at what a running program takes.
type watch struct {
	c      Command
	family *family
	looks  int
}

func newWatch(c Command, f *family) *watch { return &watch{c: c, family: f} }

// memoryEvery is after how many looks at the disk memory is looked at, too: it costs a file for each process.
const memoryEvery = 4

// look returns an *engine.Error when the program takes too much.
func (w *watch) look() error {
	w.looks++
	b := w.c.Budget
	if b.Tmp > 0 {
		if used := w.c.Dirs.usage(); used > b.Tmp-reserve(b.Tmp) {
			return w.c.tmpExhausted("it was stopped at " + size(used))
		}
	}
	if b.Memory > 0 && w.looks%memoryEvery == 0 {
		// With cgroup v2, kubelet has the kernel end the whole container when it runs out of memory (memory.oom.group):
		// the image fails alone, and at once, only if the engine is stopped before that.
		if used := w.family.memory(); used > b.Memory {
			return w.c.outOfMemory("it was stopped at " + size(used))
		}
	}
	return nil
}

// overTmp tells whether the program, by its end, had reached its limit: no file may grow beyond it.
func (c Command) overTmp() bool {
	return c.Budget.Tmp > 0 && c.Dirs.usage() > c.Budget.Tmp-reserve(c.Budget.Tmp)
}

// reserve is how much below the limit a program is stopped, for what it writes between two looks.
func reserve(limit int64) int64 { return min(limit/16, 64<<20) }

// usage counts the disk blocks of what the program wrote. Files that vanish meanwhile are not counted.
func (d Dirs) usage() (sum int64) {
	for _, dir := range []string{d.Tmp, d.Home, d.Cache, d.Output} {
		_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if info, err := e.Info(); err == nil {
				if st, ok := info.Sys().(*syscall.Stat_t); ok {
					sum += st.Blocks * 512
				}
			}
			return nil
		})
	}
	return sum
}

// remove removes a tree. A program may have left directories that their owner cannot enter.
func remove(dir string) error {
	err := os.RemoveAll(dir)
	if !os.IsPermission(err) {
		return err
	}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if e != nil && e.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
