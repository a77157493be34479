// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/process"
	"github.com/sifscan/sifscan-operator/node-agent/sif"
	"github.com/sifscan/sifscan-operator/node-agent/squashfs"
)

// format is what a file's first bytes say it is, the likeliest image last: a starter may hold overlays open too.
type format int

const (
	noImage format = iota
	extImage
	squashfsImage
	sifImage
)

const (
	// probeSize holds a launch line, after which a squashfs may begin, and the magic of a SIF.
	probeSize = 256
	// extMagic stands in the superblock of ext2, 3 and 4, at this offset of the file.
	extMagicAt, extMagic = 1080, 0xef53
)

// formatOf tells by its first bytes, and the two at extMagicAt, whether a file is an image. Nothing is parsed.
func formatOf(b, ext []byte) format {
	has := func(off int, magic string) bool {
		return len(b) >= off+len(magic) && string(b[off:off+len(magic)]) == magic
	}
	switch {
	case has(sif.MagicOffset, sif.Magic):
		return sifImage
	case has(0, squashfs.Magic):
		return squashfsImage
	case has(0, "#!") && bytes.Contains(b, []byte("run-singularity")):
		return squashfsImage
	case len(ext) == 2 && binary.LittleEndian.Uint16(ext) == extMagic:
		return extImage
	}
	return noImage
}

// shows tells whether a container's files can be out of such a file. A starter may hold an image open that is not what its container
// runs, given as standard input for one.
func (f format) shows(c *process.Container) bool {
	switch {
	case c.Source == process.FromImage:
		return f == sifImage || f == squashfsImage
	case extMount(c.Directory):
		return f == sifImage || f == extImage // a SIF can hold an ext3 partition
	}
	return f == extImage
}

// extMount tells a mounted ext3 image from a sandbox, which is a directory of its file system: fuse2fs is "fuse.ext4".
func extMount(m process.Mount) bool {
	kind := strings.TrimPrefix(m.Type, "fuse.")
	return m.Root == "/" && (kind == "ext2" || kind == "ext3" || kind == "ext4")
}

// held is an open image.
type held struct {
	file *os.File
	// path by which it was opened, raw bytes; deleted where it leads there no more.
	path    string
	deleted bool
}

// findImage looks for the open image of a container at its starter, then at the starter's helpers.
func findImage(c *process.Container) (held, error) {
	var first error
	for _, id := range append([]process.Identity{c.Starter}, c.Helpers...) {
		found, err := findIn(id, c)
		if err == nil && found.file != nil {
			return found, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = &Error{Missing, "no process of the container holds an image open"}
	}
	return held{}, first
}

// findIn looks for an image among the open files of one process. Whatever is returned was the process's: it lived on until
// after it was taken.
func findIn(id process.Identity, c *process.Container) (best held, err error) {
	p, err := process.Hold(id)
	if err != nil {
		return held{}, err
	}
	defer p.Close()
	files, err := p.OpenFiles()
	if err != nil {
		return held{}, err
	}
	rank := noImage
	var refused error
	for _, open := range files {
		f, err := p.File(open)
		if err != nil {
			refused = err
			continue
		}
		if is := probe(f); is > rank && is.shows(c) {
			if best.file != nil {
				best.file.Close()
			}
			rank, best = is, held{file: f}
			best.path, best.deleted = p.Name(open, f)
		} else {
			f.Close()
		}
	}
	if best.file == nil {
		return held{}, refused
	}
	if err := p.Check(); err != nil {
		best.file.Close()
		return held{}, err
	}
	return best, nil
}

// probe reads a file's first bytes: at offsets, for the position in it is the user's.
func probe(f *os.File) format {
	read := func(n int, off int64) []byte {
		b := make([]byte, n)
		n, _ = f.ReadAt(b, off) // what is not there is no magic
		return b[:n]
	}
	return formatOf(read(probeSize, 0), read(2, extMagicAt))
}

// describe says of an open image what the kernel and its file system say.
func describe(h held, mounts []process.Mount) Image {
	i := Image{Path: printable.Escape(h.path), Deleted: h.deleted, Inode: process.InodeOf(h.file)}
	var st unix.Stat_t
	device := ""
	// Refused where the file system does not trust the node's root, whatever was opened by whom.
	if err := unix.Fstat(int(h.file.Fd()), &st); err == nil {
		i.Known, i.Inode, i.Size, i.ModTime, i.ChangeTime = true, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()
		i.UID, i.GID, i.Mode = st.Uid, st.Gid, st.Mode&^unix.S_IFMT
		device = fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	}
	i.mount, _ = process.MountOf(h.file) // 0: by device
	i.locate(h.path, i.mount, device, mounts)
	return i
}

// explain gives an error its code.
func explain(err error) *Error {
	var known *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, process.ErrVanished):
		return &Error{Vanished, "the container ended before it was read"}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Denied, "the container's processes are another user's: run this as root, or as that user"}
	}
	return &Error{Failed, printable.Escape(err.Error())}
}
