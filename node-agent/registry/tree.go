// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"archive/tar"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/squashfs"
)

// maxEntries of all layers together. The largest images have under a million files.
const maxEntries = 5_000_000

// tree is a root file system that layers are applied to. All names are resolved in here, with the
// tree as their root, and given to the kernel one at a time by os.Root: an entry can neither lead
// out of the tree nor write through a link that an earlier entry made.
type tree struct {
	root    *os.Root
	limit   int64
	used    int64 // bytes of disk
	entries int

	// made are hashes of the paths that the present layer made: a whiteout hides only what lower
	// layers have. Hashes, for the names of a hostile layer would fill the memory.
	made map[uint64]struct{}
	seed maphash.Seed

	// parent is the directory of the last entry, of which the next one most often is too.
	parent parent
}

// parent is an open directory.
type parent struct {
	named string // as entries write it
	real  string // without links
	dir   *os.Root
}

func newTree(root *os.Root, limit int64) *tree {
	return &tree{root: root, limit: limit, seed: maphash.MakeSeed()}
}

func (t *tree) close() { t.forget() }

// begin begins a layer.
func (t *tree) begin() {
	t.forget()
	t.made = map[uint64]struct{}{}
}

// forget closes the open directory: links and removals can change what its name means.
func (t *tree) forget() {
	if t.parent.dir != nil {
		t.parent.dir.Close()
	}
	t.parent = parent{}
}

func (t *tree) mark(real string) { t.made[maphash.String(t.seed, real)] = struct{}{} }
func (t *tree) marked(real string) bool {
	_, ok := t.made[maphash.String(t.seed, real)]
	return ok
}

// apply applies one entry of a layer.
func (t *tree) apply(h *tar.Header, content io.Reader) error {
	if t.entries++; t.entries > maxEntries {
		return unsupported("the image has more than %d files", maxEntries)
	}
	name, err := inside(h.Name)
	if err != nil || name == "" {
		return err
	}
	if err := t.enter(path.Dir(name)); err != nil {
		return named(h.Name, err)
	}
	base := path.Base(name)
	if hidden, ok := strings.CutPrefix(base, whiteout); ok {
		return named(h.Name, t.hide(hidden))
	}
	return named(h.Name, t.make(base, h, content))
}

// make makes what an entry says, in the directory that was entered.
func (t *tree) make(base string, h *tar.Header, content io.Reader) error {
	real := path.Join(t.parent.real, base)
	if h.Typeflag == tar.TypeDir {
		if info, err := t.parent.dir.Lstat(base); err == nil && info.IsDir() {
			t.mark(real)
			return t.parent.dir.Chmod(base, info.Mode().Perm()|fs.FileMode(h.Mode)&0o777|0o700)
		}
	}
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeReg, tar.TypeGNUSparse, tar.TypeSymlink, tar.TypeLink:
	default: // device nodes, FIFOs, and what archives say of themselves
		return nil
	}
	if err := t.remove(t.parent.dir, base); err != nil {
		return err
	}
	t.mark(real)
	switch h.Typeflag {
	case tar.TypeDir:
		return t.makeDir(t.parent.dir, base, fs.FileMode(h.Mode))
	case tar.TypeReg, tar.TypeGNUSparse:
		return t.makeFile(base, h, content)
	case tar.TypeSymlink:
		if err := t.spend(1); err != nil {
			return err
		}
		return t.parent.dir.Symlink(h.Linkname, base)
	}
	return t.link(real, h.Linkname)
}

func (t *tree) makeDir(in *os.Root, base string, mode fs.FileMode) error {
	if err := t.spend(1); err != nil {
		return err
	}
	return in.Mkdir(base, mode&0o777|0o700)
}

// makeFile writes a file. Its size, holes included, is counted before its first byte.
func (t *tree) makeFile(base string, h *tar.Header, content io.Reader) error {
	if err := t.spend(max(h.Size, 1)); err != nil {
		return err
	}
	f, err := t.parent.dir.OpenFile(base, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fs.FileMode(h.Mode)&0o777|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// link gives a file another name.
func (t *tree) link(real, target string) error {
	target, err := inside(target)
	if err != nil {
		return err
	}
	shown := printable.Truncate(printable.Escape(target), 256)
	dir, err := t.resolve(path.Dir(target), false)
	if err == nil {
		target = path.Join(dir, path.Base(target))
		var info fs.FileInfo
		if info, err = t.root.Lstat(target); err == nil && info.IsDir() {
			return corrupt("a hard link to the directory %s", shown)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return corrupt("a hard link to %s, which is not there", shown)
	}
	if err != nil {
		return err
	}
	return t.root.Link(target, real)
}

// spend counts bytes of disk before they are written.
func (t *tree) spend(n int64) error {
	if n > t.limit-t.used {
		return &Error{Reason: v1alpha1.ReasonTmpTooSmall, Message: fmt.Sprintf(
			"unpacking the image needs more than %d MiB: raise spec.tmp.sizeLimit (--tmp-limit)%s", t.limit>>20, engine.Twice(t.limit))}
	}
	t.used += squashfs.DiskSize(n)
	return nil
}

// remove removes a name with all below it, if it is there, and gives back what it took.
func (t *tree) remove(in *os.Root, base string) error {
	info, err := in.Lstat(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.giveBack(in, base, info); err != nil {
		return err
	}
	if info.IsDir() || info.Mode()&fs.ModeSymlink != 0 {
		// The open directory may be the one that goes, or have been reached by this link.
		defer t.reenter()
	}
	return in.RemoveAll(base)
}

// giveBack counts a file that goes, with all below it. One with several names stays on the disk.
func (t *tree) giveBack(in *os.Root, name string, info fs.FileInfo) error {
	switch st, ok := info.Sys().(*syscall.Stat_t); {
	case info.IsDir():
		t.used -= squashfs.DiskBlock
		list, err := names(in, name)
		if err != nil {
			return err
		}
		for _, child := range list {
			child = path.Join(name, child)
			info, err := in.Lstat(child)
			if err == nil {
				err = t.giveBack(in, child, info)
			}
			if err != nil {
				return err
			}
		}
	case ok && st.Nlink > 1:
	case info.Mode().IsRegular():
		t.used -= squashfs.DiskSize(max(info.Size(), 1))
	default:
		t.used -= squashfs.DiskBlock
	}
	return nil
}

// names lists a directory. Root.FS would refuse names that are no UTF-8.
func names(in *os.Root, dir string) ([]string, error) {
	f, err := in.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// inside is the path of an entry below the root; empty for the root itself.
func inside(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", corrupt("the entry %s leads out of the image", printable.Truncate(printable.Escape(name), 256))
		}
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/"), nil
}

// named says which entry failed. A full disk is a reason of its own.
func named(entry string, err error) error {
	var already *Error
	switch {
	case err == nil, errors.As(err, &already):
		return err
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return &Error{Reason: v1alpha1.ReasonTmpExhausted, Message: "no space left for the image: others use the same disk, or it has a smaller quota", Err: err}
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return corrupt("the entry %s: %v", printable.Truncate(printable.Escape(entry), 256), err)
}
