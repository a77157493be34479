// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrVanished: the process ended.
var ErrVanished = errors.New("the process ended")

// Held is a process that is held: its number cannot come to mean another one unnoticed.
type Held struct {
	Identity
	fd int
}

// Hold holds a process that was seen before. It fails with ErrVanished where its number is another's by now.
func Hold(id Identity) (*Held, error) {
	fd, err := unix.PidfdOpen(id.PID, 0)
	if err != nil {
		return nil, gone(err)
	}
	h := &Held{id, fd}
	// The descriptor is of whoever has the number now: that is the one that was seen only if it started then.
	text, err := h.read("stat", maxSmall)
	if p, ok := parseStat(text); err != nil || !ok || p.Identity != id {
		h.Close()
		return nil, ErrVanished
	}
	return h, nil
}

// Close lets go of it.
func (h *Held) Close() error { return unix.Close(h.fd) }

// Check fails with ErrVanished where the process ended: what was read of its directory in /proc since Hold may then be another's.
func (h *Held) Check() error {
	poll := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(poll, 0)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n > 0:
			return ErrVanished
		default:
			return nil
		}
	}
}

func (h *Held) path(name string) string { return Dir + "/" + strconv.Itoa(h.PID) + "/" + name }

func (h *Held) read(name string, limit int64) ([]byte, error) {
	f, err := os.Open(h.path(name))
	if err != nil {
		return nil, gone(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit))
	return text, gone(err)
}

// Mounts are what the process sees mounted.
func (h *Held) Mounts() ([]Mount, error) {
	text, err := h.read("mountinfo", maxMountinfo)
	return ParseMounts(text), err
}

// OpenFile is a descriptor of a process.
type OpenFile struct {
	Number int
	// Shown is its path as the kernel shows it, raw bytes: Name tells what of it is the name.
	Shown string
}

// maxOpenFiles of a process that are looked at. A starter has some twenty.
const maxOpenFiles = 256

// deletedSuffix is what the kernel adds to the path of a file whose name was removed (d_path). A name may end with it as well.
const deletedSuffix = " (deleted)"

// OpenFiles lists what of the process may be a file. No file is touched: that could wait for a server that never answers.
func (h *Held) OpenFiles() (files []OpenFile, err error) {
	dir, err := os.Open(h.path("fd"))
	if err != nil {
		return nil, gone(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxOpenFiles)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, gone(err)
	}
	for _, name := range names {
		number, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		target, err := os.Readlink(h.path("fd/" + name))
		if err != nil || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "/dev/") || strings.HasPrefix(target, "/proc/") {
			continue // a socket, a pipe, a device
		}
		files = append(files, OpenFile{number, target})
	}
	return files, nil
}

// File takes a duplicate of an open file. It shares the process's position in it: read it at offsets only.
func (h *Held) File(o OpenFile) (*os.File, error) {
	fd, err := unix.PidfdGetfd(h.fd, o.Number, 0)
	if err != nil {
		return nil, gone(err)
	}
	return os.NewFile(uintptr(fd), o.Shown), nil
}

// Name returns the path of an open file that was taken, and whether that name leads to it no more. Only of a path that reads like that
// of a removed name is the file system asked, which may never answer: has the file a name at all, and is it this one? Where it
// refuses to say, the path is taken for what it reads like.
func (h *Held) Name(o OpenFile, taken *os.File) (path string, deleted bool) {
	path, marked := strings.CutSuffix(o.Shown, deletedSuffix)
	if !marked {
		return path, false
	}
	var file, named unix.Stat_t
	if err := unix.Fstat(int(taken.Fd()), &file); err != nil || file.Nlink == 0 {
		return path, true
	}
	err := unix.Fstatat(unix.AT_FDCWD, h.path("root"+o.Shown), &named, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT)
	if err == nil && named.Dev == file.Dev && named.Ino == file.Ino {
		return o.Shown, false
	}
	return path, true
}

// Root opens the process's root directory without asking its file system, which a process of the user may serve. It is
// the mount with this number, or an error: a process may change its root at any time.
func (h *Held) Root(mount Mount) (*os.File, error) {
	fd, err := unix.Open(h.path("root"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, gone(err)
	}
	root := os.NewFile(uintptr(fd), h.path("root"))
	id, err := MountOf(root)
	if err == nil && id != mount.ID {
		err = fmt.Errorf("process %d has another root by now", h.PID)
	}
	if err == nil {
		err = h.Check()
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// MountOf returns the number of the mount that an open file is on, as in mountinfo. It asks no file system.
func MountOf(f *os.File) (int, error) {
	id, _, err := fdinfo(f)
	return id, err
}

// fdinfo returns mount and inode number of an open file as proc_pid_fdinfo(5) shows them.
func fdinfo(f *os.File) (mount int, inode uint64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("%s/self/fdinfo/%d", Dir, f.Fd()))
	if err != nil {
		return 0, 0, err
	}
	for line := range bytes.Lines(text) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		number, _ := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 64)
		switch string(name) {
		case "mnt_id":
			mount = int(number)
		case "ino": // since Linux 5.14
			inode = number
		}
	}
	return mount, inode, nil
}

// InodeOf returns the inode number of an open file where even fstat is refused; 0 where the kernel does not tell.
func InodeOf(f *os.File) uint64 {
	_, inode, err := fdinfo(f)
	if err != nil {
		return 0
	}
	return inode
}

// gone makes one error of all the ways in which the kernel says that a process is no more.
func gone(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) {
		return ErrVanished
	}
	return err
}
