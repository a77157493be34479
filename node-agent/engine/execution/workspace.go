package execution

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Workspace is a directory of one scan: the extracted image and all that an engine writes.
type Workspace struct {
	// Dir is absolute and holds no symbolic link.
	Dir  string
	lock *os.File
}

// workspacePrefix begins the names of workspaces, by which those of a killed agent are found again.
const workspacePrefix = "sifscan-workspace-"

// NewWorkspace makes a workspace in dir, and removes those that a killed agent of the same user left there. What another agent
// still works in is locked, and stays.
func NewWorkspace(dir string) (*Workspace, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		// Engines do not walk a root that they reach through a link.
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("--tmp-dir: %w", err)
	}
	if err := removeStale(dir); err != nil {
		return nil, err
	}
	name, err := os.MkdirTemp(dir, workspacePrefix)
	if err != nil {
		return nil, fmt.Errorf("make a directory for the scan: %w", err)
	}
	lock, err := lockDir(name)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the scan's directory: %w", err), os.Remove(name))
	}
	return &Workspace{Dir: name, lock: lock}, nil
}

// Remove removes the workspace with all it holds.
func (w *Workspace) Remove() error {
	return errors.Join(remove(w.Dir), w.lock.Close())
}

func lockDir(name string) (*os.File, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// youngest a workspace must be to pass for one that was left: between its making and its locking it looks like one.
const youngest = time.Minute

// removeStale removes workspaces of this user that nobody locks.
func removeStale(dir string) error {
	names, err := filepath.Glob(filepath.Join(escape(dir), workspacePrefix+"*"))
	if err != nil {
		return err
	}
	for _, name := range names {
		var st unix.Stat_t
		if unix.Lstat(name, &st) != nil || st.Uid != uint32(os.Getuid()) || st.Mode&unix.S_IFMT != unix.S_IFDIR ||
			time.Since(time.Unix(st.Mtim.Unix())) < youngest {
			continue
		}
		lock, err := lockDir(name)
		if err != nil {
			continue
		}
		err = errors.Join(remove(name), lock.Close())
		if err != nil {
			return fmt.Errorf("remove what a killed agent left in --tmp-dir: %w", err)
		}
	}
	return nil
}

// escape makes a path stand for itself in a pattern of filepath.Match.
func escape(path string) string {
	out := make([]byte, 0, len(path))
	for i := range len(path) {
		switch path[i] {
		case '*', '?', '[', '\\':
			out = append(out, '\\')
		}
		out = append(out, path[i])
	}
	return string(out)
}
