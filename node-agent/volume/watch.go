package volume

import (
	"context"
	"sync/atomic"
	"time"
)

// Watch notices a file system that does not answer: a system call on a hard NFS mount whose server is away, or on a FUSE
// whose server hangs, ends when the process does. It may be shared by goroutines; nil watches nothing.
type Watch struct{ asked, answered atomic.Int64 }

// Ask notes that a call begins, Answer that one has ended.
func (w *Watch) Ask() {
	if w != nil {
		w.asked.Add(1)
	}
}

// Answer notes the end of a call.
func (w *Watch) Answer() {
	if w != nil {
		w.answered.Add(1)
	}
}

// Waits reports whether a call has not ended.
func (w *Watch) Waits() bool { return w.asked.Load() != w.answered.Load() }

// looks are so many in the time that a silence takes.
const looks = 10

// Silent returns a channel that is closed when calls wait and none has been answered for about as long as patience; never once
// ctx has ended. Time in which this process is stopped does not count.
func (w *Watch) Silent(ctx context.Context, patience time.Duration) <-chan struct{} {
	silent := make(chan struct{})
	go func() {
		tick := time.NewTicker(patience / looks)
		defer tick.Stop()
		before, quiet := w.answered.Load(), 0
		for quiet < looks {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if now := w.answered.Load(); now != before || !w.Waits() {
				before, quiet = now, 0
			} else {
				quiet++
			}
		}
		close(silent)
	}()
	return silent
}

// Watched returns a Root for the same volume whose calls are noted in the Watch. It is closed with r.
func (r *Root) Watched() (*Root, *Watch) {
	watched, w := *r, &Watch{}
	watched.watch = w
	return &watched, w
}

// Watch returns what Watched returned with it; nil otherwise.
func (r *Root) Watch() *Watch { return r.watch }
