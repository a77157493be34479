package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/squashfs"
)

// ExtractOptions bounds an extraction.
type ExtractOptions struct {
	// Limit is how many bytes of disk the extracted files may take, in blocks of
	// 4 KiB; 0 for what the file system has.
	Limit int64
}

// partialSuffix marks a directory that is being filled, or was left by a crash.
const partialSuffix = ".partial"

// Extract writes the image's root file system to dir, which must not exist or be
// empty. It returns the sizes of what the image holds.
//
// Everything that would be written is counted first and refused with
// ReasonTmpTooSmall, before the first byte, when it does not fit; it is counted
// again while it is written. Content is written to dir.partial, which takes
// dir's place at the end: dir is complete or not there. On any error, and when
// ctx ends, dir.partial is removed; what a killed process left there is removed
// by the next extraction to dir, and an extraction that still runs is not disturbed.
//
// Kept are content with its holes, permissions, modification times, hard links,
// symlinks verbatim and xattrs of the user namespace where dir's file system
// takes them. Changed: the owner of everything is the caller, who can read all
// of it (u+r, directories u+rwx); set-user-ID and set-group-ID bits are never
// set. Device nodes, FIFOs and sockets are left out.
func (img *Image) Extract(ctx context.Context, dir string, o ExtractOptions) (sizes squashfs.Sizes, err error) {
	if img.dir != nil {
		return sizes, unsupported("a %s is a directory already", img.info.Format)
	}
	if sizes, err = img.Sizes(ctx); err != nil {
		return sizes, err
	}
	dir = filepath.Clean(dir)
	if err := mustBeEmpty(dir); err != nil {
		return sizes, err
	}
	limit, err := room(filepath.Dir(dir), o.Limit, sizes)
	if err != nil {
		return sizes, err
	}
	work, err := claim(dir + partialSuffix)
	if err != nil {
		return sizes, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(work.Name()))
		}
		err = errors.Join(err, work.Close())
	}()
	if err := newExtraction(img.sqfs, work, limit).run(ctx); err != nil {
		return sizes, img.explain(err)
	}
	// Replaces an empty directory, and nothing else.
	if err := unix.Rename(work.Name(), dir); err != nil {
		return sizes, fmt.Errorf("rename %s to %s: %w", work.Name(), dir, err)
	}
	return sizes, nil
}

// mustBeEmpty refuses to mix an image with other files.
func mustBeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look for a place to extract to: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: name a directory that is empty or does not exist", dir)
	}
	return nil
}

// room returns how many bytes of disk may be written.
func room(parent string, limit int64, need squashfs.Sizes) (int64, error) {
	if limit > 0 && need.Disk > limit {
		return 0, &Error{Reason: ReasonTmpTooSmall, Message: fmt.Sprintf(
			"extracting %d files needs %s, the limit is %s: raise it to at least %s", need.Inodes(), size(need.Disk), size(limit), size(need.Disk))}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(parent, &fs); err != nil {
		return 0, fmt.Errorf("look for free space in %s: %w", parent, err)
	}
	free := int64(min(fs.Bavail, 1<<40)) * fs.Bsize
	if need.Disk > free {
		return 0, &Error{Reason: ReasonTmpTooSmall, Message: fmt.Sprintf(
			"extracting %d files needs %s, but %s has only %s free", need.Inodes(), size(need.Disk), parent, size(free))}
	}
	// tmpfs and ext4 run out of inodes before they run out of space; file
	// systems without a fixed number of inodes say 0.
	if fs.Files > 0 && need.Inodes() > int64(min(fs.Ffree, 1<<62)) {
		return 0, &Error{Reason: ReasonTmpTooSmall, Message: fmt.Sprintf(
			"extracting needs %d inodes, but %s has only %d free", need.Inodes(), parent, fs.Ffree)}
	}
	if limit > 0 {
		return limit, nil
	}
	return free, nil
}

// size prints bytes as Kubernetes quantities, rounded up.
func size(n int64) string {
	const mebi = 1 << 20
	return fmt.Sprintf("%dMi", (n+mebi-1)/mebi)
}

// claim makes the directory that an extraction works in and locks it, so that
// what a crash left can be told from what another process is writing.
func claim(path string) (*os.File, error) {
	for {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("make a place to extract to: %w", err)
		}
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) { // its owner finished in between
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		dir := os.NewFile(uintptr(fd), path)
		if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
			dir.Close()
			return nil, fmt.Errorf("another extraction is writing to %s: %w", path, err)
		}
		fresh, err := emptied(dir)
		if err == nil && fresh {
			return dir, nil
		}
		dir.Close()
		if err != nil {
			return nil, err
		}
	}
}

// emptied removes a directory that holds anything, and tells whether it is the
// one that its name means and was empty.
func emptied(dir *os.File) (bool, error) {
	var opened, now unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &opened); err != nil {
		return false, fmt.Errorf("stat %s: %w", dir.Name(), err)
	}
	if err := unix.Lstat(dir.Name(), &now); err != nil || now.Ino != opened.Ino || now.Dev != opened.Dev {
		return false, nil
	}
	if names, _ := dir.Readdirnames(1); len(names) == 0 {
		return true, nil
	}
	if err := os.RemoveAll(dir.Name()); err != nil {
		return false, fmt.Errorf("remove what an earlier extraction left: %w", err)
	}
	return false, nil
}
