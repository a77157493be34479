// Package flock locks files and folders between processes, with flock(2): the lock of a process that dies is free.
package flock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Lock waits until nobody else has locked the file, and locks it until the file is closed. It asks again and again, because a wait
// in the kernel could not be interrupted.
func Lock(ctx context.Context, file *os.File) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("locking %s: %w", file.Name(), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is in use by another process: %w", file.Name(), ctx.Err())
		case <-tick.C:
		}
	}
}
