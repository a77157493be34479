// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package opens counts how often files are opened, for tests and benchmarks of what is not opened.
package opens

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Count is of how often files below a directory are opened for reading, by the kernel's word
// (inotify(7), IN_OPEN). Descriptors that give no access to content (O_PATH) are none.
type Count struct {
	file  *os.File
	fd    int // of file, whose own Fd would make it block
	count chan int
	err   error
}

// Watch begins to count.
func Watch(dir string) (*Count, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	o := &Count{file: os.NewFile(uintptr(fd), "inotify"), fd: fd, count: make(chan int, 1)}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		_, err = unix.InotifyAddWatch(fd, path, unix.IN_OPEN|unix.IN_ONLYDIR)
		return err
	})
	if err != nil {
		o.file.Close()
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	go o.read()
	return o, nil
}

func (o *Count) read() {
	var n int
	buf := make([]byte, 1<<20)
	for {
		got, err := o.file.Read(buf)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				o.err = err
			}
			o.count <- n
			return
		}
		for at := 0; at+unix.SizeofInotifyEvent <= got; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
			at += unix.SizeofInotifyEvent + int(event.Len)
			switch {
			case event.Mask&unix.IN_Q_OVERFLOW != 0:
				o.err = errors.New("the kernel dropped events about files that were opened")
			case event.Mask&unix.IN_ISDIR == 0:
				n++
			}
		}
	}
}

// Stop ends the count and returns it.
func (o *Count) Stop() (int, error) {
	// An event is in the queue before the call that it tells of returns; the queue is read meanwhile.
	for {
		n, err := unix.IoctlGetInt(o.fd, unix.TIOCINQ)
		if err != nil || n == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	o.file.Close()
	return <-o.count, o.err
}
