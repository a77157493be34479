// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"strconv"
	"strings"
)

// Mount is a line of a mountinfo file, proc_pid_mountinfo(5).
type Mount struct {
	ID int
	// Device is major:minor of the mounted file system.
	Device string
	// Root is the directory of the file system that is mounted, Point where.
	Root, Point string
	Options     string
	Type        string
	Source      string
	Super       string
}

// maxMount bounds a line that is parsed, in bytes. What is given to a system call has at most 4 KiB, but a directory may be
// as deep as its owner likes, and what is kept of mounts is kept of every process.
const maxMount = 16 << 10

// parseMount parses a line; ok is false for what is none.
func parseMount(line []byte) (m Mount, ok bool) {
	if len(line) > maxMount {
		return Mount{}, false
	}
	before, after, ok := bytes.Cut(line, []byte(" - "))
	head, tail := bytes.Fields(before), bytes.Split(after, []byte(" "))
	if !ok || len(head) < 6 || len(tail) < 3 {
		return Mount{}, false
	}
	id, err := strconv.Atoi(string(head[0]))
	return Mount{
		ID: id, Device: string(head[2]), Root: unescape(head[3]), Point: unescape(head[4]), Options: string(head[5]),
		Type: unescape(tail[0]), Source: unescape(tail[1]), Super: unescape(tail[2]),
	}, err == nil
}

// ParseMounts parses a whole mountinfo file.
func ParseMounts(text []byte) (mounts []Mount) {
	for line := range bytes.Lines(text) {
		if m, ok := parseMount(bytes.TrimSuffix(line, []byte("\n"))); ok {
			mounts = append(mounts, m)
		}
	}
	return mounts
}

// unescape undoes the kernel's mangling of space, tab, newline, backslash and # (fs/proc_namespace.c).
func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) {
			if n, err := strconv.ParseUint(string(b[i+1:i+4]), 8, 8); err == nil {
				out = append(out, byte(n))
				i += 3
				continue
			}
		}
		out = append(out, b[i])
	}
	return string(out)
}

// session is what a starter has mounted to make a container.
type session struct {
	final Mount // the container's root
	// rootfs is where the image is mounted; zero where it is not to be seen.
	rootfs Mount
}

// view is what matters of one mountinfo file.
type view struct {
	root     Mount // the process's own root; the topmost where several are stacked
	sessions []session
}

// size is how many bytes are kept of the view.
func (v *view) size() int {
	n := v.root.size()
	for _, s := range v.sessions {
		n += s.final.size() + s.rootfs.size()
	}
	return n
}

func (m Mount) size() int {
	return len(m.Device) + len(m.Root) + len(m.Point) + len(m.Options) + len(m.Type) + len(m.Source) + len(m.Super)
}

const (
	sessionDir = "/mnt/session/"
	finalName  = "final"
	rootfsName = "rootfs"
)

// maxSessions of a mountinfo file. A starter makes one, and sees those that it is nested in; anybody may mount 100,000 of that name, and each process is asked
// for each of them.
const maxSessions = 16

// programs are the names of the directory that holds a session.
var programs = []string{"/apptainer", "/singularity"}

// parseView picks the mounts that matter. Of the hundreds on a node only those are parsed in full: this
// runs for every process.
func parseView(text []byte) *view {
	v := &view{}
	at := map[string]*session{}
	var order []string
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, []byte(sessionDir)) && !isRoot(line) {
			continue
		}
		m, ok := parseMount(bytes.TrimSuffix(line, []byte("\n")))
		if !ok {
			continue
		}
		if m.Point == "/" {
			v.root = m
			continue
		}
		dir, name, ok := inSession(m.Point)
		if !ok {
			continue
		}
		if at[dir] == nil && len(order) == maxSessions {
			continue
		}
		if at[dir] == nil {
			at[dir] = &session{}
			order = append(order, dir)
		}
		switch name {
		case finalName:
			at[dir].final = m
		case rootfsName:
			at[dir].rootfs = m
		}
	}
	for _, dir := range order {
		if at[dir].final.Device != "" {
			v.sessions = append(v.sessions, *at[dir])
		}
	}
	return v
}

// isRoot tells whether the fifth field of a line is "/".
func isRoot(line []byte) bool {
	for range 4 {
		i := bytes.IndexByte(line, ' ')
		if i < 0 {
			return false
		}
		line = line[i+1:]
	}
	return bytes.HasPrefix(line, []byte("/ "))
}

// inSession splits the mount point …/apptainer/mnt/session/NAME.
func inSession(point string) (dir, name string, ok bool) {
	i := strings.LastIndex(point, sessionDir)
	if i < 0 {
		return "", "", false
	}
	dir, name = point[:i], point[i+len(sessionDir):]
	for _, program := range programs {
		if strings.HasSuffix(dir, program) {
			return dir, name, true
		}
	}
	return "", "", false
}

// filesystem is a mounted directory of a file system: what a container's root and its starter's final have in common.
type filesystem struct{ device, root string }

func (m Mount) filesystem() filesystem { return filesystem{m.Device, m.Root} }

// orphaned tells whether the mount is a container's root whose starter is gone: an overlay over a session.
func (m Mount) orphaned() bool {
	if m.Type != "overlay" {
		return false
	}
	for option := range strings.SplitSeq(m.Super, ",") {
		lower, ok := strings.CutPrefix(option, "lowerdir=")
		if !ok {
			continue
		}
		for dir := range strings.SplitSeq(lower, ":") {
			if _, _, ok := inSession(dir); ok {
				return true
			}
		}
	}
	return false
}

// writable tells whether the container's root has a layer that takes writes. Apptainer mounts it
// read-only but for --writable-tmpfs and --overlay (fuse-overlayfs, plain "fuse" from the setuid
// starter, or the kernel's overlay with an upperdir), and for a sandbox with --writable.
func (m Mount) writable() bool {
	switch {
	case m.Type == "overlay":
		return strings.Contains(","+m.Super, ",upperdir=")
	case m.Type == "fuse.fuse-overlayfs", m.Type == "fuse":
		return true
	case m.Type == "tmpfs": // --underlay
		return false
	}
	return m.Options == "rw" || strings.HasPrefix(m.Options, "rw,")
}
