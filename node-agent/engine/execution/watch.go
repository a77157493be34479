package execution

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watch looks at what a running program takes.
type watch struct {
	c      Command
	family *family
	looks  int
	used   int64 // at the last look
	at     time.Time
}

func newWatch(c Command, f *family) *watch { return &watch{c: c, family: f, at: time.Now()} }

// pollEvery is how often disk and memory are looked at as long as there is room.
const pollEvery = 50 * time.Millisecond

// memoryEvery is after how many looks at the disk memory is looked at, too: it costs a file for each process.
const memoryEvery = 4

// look returns an *engine.Error when the program takes too much, and otherwise when to look again.
func (w *watch) look() (next time.Duration, err error) {
	w.looks++
	b := w.c.Budget
	next = pollEvery
	if b.Tmp > 0 {
		if next, err = w.disk(b.Tmp); err != nil {
			return 0, err
		}
	}
	if b.Memory > 0 && w.looks%memoryEvery == 0 {
		// With cgroup v2, kubelet has the kernel end the whole container when it runs out of memory (memory.oom.group):
		// the image fails alone, and at once, only if the engine is stopped before that.
		if used := w.family.memory(); used > b.Memory {
			return 0, w.c.outOfMemory("it was stopped at " + size(used))
		}
	}
	return next, nil
}

// disk looks at the disk. A program with little room stands still meanwhile: what it wrote behind the look's back would be as
// much as is kept free for it, where others take the processor during the look.
func (w *watch) disk(limit int64) (next time.Duration, err error) {
	if little(limit) {
		w.family.signal(unix.SIGSTOP)
	}
	began, spent := time.Now(), processorTime()
	used := w.c.Dirs.usage()
	room := limit - reserve(limit) - used
	if room < 0 {
		return 0, w.c.tmpExhausted("it was stopped at " + size(used))
	}
	if little(limit) {
		w.family.signal(unix.SIGCONT)
	}
	return w.pace(used, room, began, processorTime()-spent), nil
}

// fastest is how many bytes a second a program may begin to write at any time: what one NVMe disk takes.
const fastest = 1 << 30

// first is when to look first.
func (w *watch) first() time.Duration {
	if w.c.Budget.Tmp == 0 {
		return pollEvery
	}
	return soon(w.c.Budget.Tmp - reserve(w.c.Budget.Tmp))
}

// soon is when half of the room would be gone, should the program write as fast as it can.
func soon(room int64) time.Duration {
	return min(pollEvery, time.Duration(min(room, fastest))*time.Second/2/fastest)
}

// pace is when to look again: when half of the room would be gone, should the program write as fast as it can, or as it has
// done since the last look. A directory of a million files is looked at less often, so that looking takes a tenth of a
// processor, or a third where there is little room, as long as it grows slowly. What a look took is the thread's own time:
// by the clock, the next would be put off the longer the more others take of the processor.
func (w *watch) pace(used, room int64, began time.Time, took time.Duration) time.Duration {
	rest := 9 * took
	if little(w.c.Budget.Tmp) {
		rest = 2 * took
	}
	next := max(soon(room), rest, time.Millisecond)
	if grown, since := used-w.used, began.Sub(w.at); grown > 0 && since > 0 {
		half := time.Duration(float64(room) / 2 / float64(grown) * float64(since))
		next = min(next, max(half, took, time.Millisecond))
	}
	w.used, w.at = used, began
	return next
}

// processorTime is what the calling thread has had of a processor.
func processorTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

// overTmp tells whether the program, by its end, had reached its limit: no file may grow beyond it.
func (c Command) overTmp() bool {
	return c.Budget.Tmp > 0 && c.Dirs.usage() > c.Budget.Tmp-reserve(c.Budget.Tmp)
}

// reserve is how much below the limit a program is stopped, for what it writes between two looks.
func reserve(limit int64) int64 { return min(limit/8, 256<<20) }

// little tells whether the reserve would be written in less time than a look was ever late.
func little(limit int64) bool {
	const late = 16 // of a second
	return limit > 0 && reserve(limit) < fastest/late
}

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
