// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// session is the starter's directory of mounts.
type session struct {
	plan
	dir     string
	image   *os.File
	helpers []*exec.Cmd
}

func (s *session) path(name string) string { return filepath.Join(s.dir, name) }

// mount builds what the container's root will be, at final.
func (s *session) mount() error {
	err := first(
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		func() error { return unix.Mount("tmpfs", s.dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755") },
		s.directories, s.mountRootfs)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	switch {
	case s.Underlay:
		err = s.mountUnderlay()
	case s.Writable:
		err = s.mountWritable()
	default:
		err = unix.Mount("overlay", s.path("final"), "overlay", unix.MS_NOSUID|unix.MS_NODEV, "lowerdir="+s.lowers())
	}
	if err != nil {
		return fmt.Errorf("final: %w", err)
	}
	return nil
}

// directories makes mount points. Those that the image lacks come from a lower directory of the session's own.
func (s *session) directories() error {
	for _, name := range []string{"rootfs", "final", "overlay-lowerdir/etc", "overlay-images/0", "tmpfs/upper", "tmpfs/work"} {
		if err := os.MkdirAll(s.path(name), 0o755); err != nil {
			return err
		}
	}
	for _, point := range s.points() {
		if err := os.MkdirAll(s.path("overlay-lowerdir"+point), 0o755); err != nil {
			return err
		}
	}
	for _, name := range etcFiles {
		if err := os.WriteFile(s.path("overlay-lowerdir"+name), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) lowers() string {
	layers := []string{s.path("overlay-lowerdir"), s.path("rootfs")}
	if s.Overlay != 0 {
		layers = slices.Insert(layers, 1, s.path("overlay-images/0/upper"))
	}
	return strings.Join(layers, ":")
}

// mountRootfs mounts the image, and its own overlay.
func (s *session) mountRootfs() error {
	switch rootfs := s.path("rootfs"); {
	case s.Sandbox:
		return unix.Mount(s.Image, rootfs, "", unix.MS_BIND, "")
	case s.Decrypted != "":
		shown, err := os.Open(s.Decrypted)
		if err != nil {
			return err
		}
		defer shown.Close()
		return mountByKernel(shown, 0, s.FileSystem, rootfs)
	case s.Kernel:
		if err := mountByKernel(s.image, s.Offset, s.FileSystem, rootfs); err != nil || s.Overlay == 0 {
			return err
		}
		return mountByKernel(s.image, s.Overlay, "ext3", s.path("overlay-images/0"))
	default:
		return s.serveImage(rootfs)
	}
}

// openFUSE mounts FUSE itself, as the setuid starter does because its helpers are the user's and may not. It returns the
// device that a helper then serves.
func (s *session) openFUSE(point, source string, flags uintptr) (*os.File, error) {
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other", device.Fd(), s.User, s.User)
	if err := unix.Mount(source, point, "fuse", flags|unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		device.Close()
		return nil, err
	}
	return device, nil
}

// serveImage serves the image's SquashFS.
func (s *session) serveImage(point string) error {
	files, target := []*os.File{s.image}, point
	if s.Setuid {
		device, err := s.openFUSE(point, "squashfuse_ll", unix.MS_RDONLY)
		if err != nil {
			return err
		}
		files, target = append(files, device), "/dev/fd/4"
	}
	options := "allow_other,ro,offset=" + strconv.FormatInt(s.Offset, 10)
	return s.serve(point, files, "/usr/bin/squashfuse_ll", "-f", "-o", options, "/proc/self/fd/3", target)
}

// mountWritable puts a tmpfs over the image, by fuse-overlayfs.
func (s *session) mountWritable() error {
	var files []*os.File
	point := s.path("final")
	target := point
	if s.Setuid {
		for _, name := range []string{"tmpfs/upper", "tmpfs/work"} {
			if err := os.Chown(s.path(name), s.User, s.User); err != nil {
				return err
			}
		}
		device, err := s.openFUSE(point, "fuse-overlayfs", 0)
		if err != nil {
			return err
		}
		files, target = []*os.File{device}, "/dev/fd/3"
	}
	// Debian's fuse-overlayfs says that it knows ACLs and then fails on those of a lower file system without.
	options := fmt.Sprintf("noacl,lowerdir=%s,upperdir=%s,workdir=%s", s.lowers(), s.path("tmpfs/upper"), s.path("tmpfs/work"))
	return s.serve(point, files, "/usr/bin/fuse-overlayfs", "-f", "-o", options, target)
}

// mountUnderlay makes the root from a tmpfs and a bind for each top directory of the image.
func (s *session) mountUnderlay() error {
	final := s.path("final")
	if err := unix.Mount("tmpfs", final, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.path("rootfs"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		source, target := s.path("rootfs/"+entry.Name()), filepath.Join(final, entry.Name())
		if link, err := os.Readlink(source); err == nil {
			if err := os.Symlink(link, target); err != nil {
				return err
			}
			continue
		}
		if !entry.IsDir() {
			continue
		}
		if err := errors.Join(os.Mkdir(target, 0o755), unix.Mount(source, target, "", unix.MS_BIND, "")); err != nil {
			return err
		}
	}
	for _, point := range s.points() {
		// What the image has below one of its own directories cannot be added to: it stays without.
		if err := os.MkdirAll(final+point, 0o755); err != nil && !errors.Is(err, unix.EROFS) {
			return err
		}
	}
	return nil
}

// fuseDeadline is far beyond the tenth of a second that a helper takes to answer.
const fuseDeadline = 30 * time.Second

// serve starts a helper that serves a file system, and returns when it does.
func (s *session) serve(point string, files []*os.File, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if s.Setuid {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(s.User), Gid: uint32(s.User)}
	} else {
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_DAC_OVERRIDE}
	}
	err := cmd.Start()
	for _, file := range files {
		if file != s.image {
			file.Close() // a device that only a helper holds answers with an error when that one ends
		}
	}
	if err != nil {
		return err
	}
	s.helpers = append(s.helpers, cmd)
	for deadline := time.Now().Add(fuseDeadline); ; time.Sleep(2 * time.Millisecond) {
		var st unix.Statfs_t
		if err := unix.Statfs(point, &st); err == nil && st.Type == unix.FUSE_SUPER_MAGIC {
			return nil
		}
		ended, err := unix.Wait4(cmd.Process.Pid, nil, unix.WNOHANG, nil)
		if err != nil || ended != 0 || time.Now().After(deadline) {
			return fmt.Errorf("%s serves nothing (%v)", program, err)
		}
	}
}

func (s *session) helperIDs() []int {
	ids := []int{}
	for _, h := range s.helpers {
		ids = append(ids, h.Process.Pid)
	}
	return ids
}

// close ends the helpers, the last one first: it stands on the others.
func (s *session) close() {
	for i := len(s.helpers) - 1; i >= 0; i-- {
		_ = s.helpers[i].Process.Kill() // they may have ended
		_ = s.helpers[i].Wait()
	}
}

// mountByKernel mounts a SquashFS within a file read-only through a loop device that goes with the mount.
func mountByKernel(image *os.File, offset int64, kind, point string) error {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer control.Close()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("/dev/loop%d", n)
		device, err := os.OpenFile(name, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		defer device.Close()
		config := unix.LoopConfig{Fd: uint32(image.Fd())}
		config.Info.Offset = uint64(offset)
		config.Info.Flags = unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
		if errors.Is(err, unix.EBUSY) {
			continue // another took it in between
		}
		if err != nil {
			return err
		}
		return unix.Mount(name, point, kind, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
	}
}
