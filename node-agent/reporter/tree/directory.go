// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"errors"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// directory is a directory of the tree, by descriptor. Its owner closes it.
type directory struct {
	fd   int
	path string // from the volume's root, for messages
	// owners whose directories are entered: the scan's user, root, and who owns the top of the tree,
	// who could exchange everything in it anyway. Anybody else's directory could be exchanged under
	// our hands.
	owners [3]uint32
}

// top opens the folder that holds the tree, making it where it is not there. Its owner may be
// anybody: whoever wrote the SIFScan has chosen it.
func (t *Tree) top() (*directory, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(t.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &Error{"open", ".", err}
	}
	d := &directory{fd: fd, path: "."}
	for _, name := range t.subPath {
		next, err := d.step(name, true)
		d.close()
		if err != nil {
			return nil, err
		}
		d = next
	}
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		d.close()
		return nil, &Error{"stat", d.path, err}
	}
	d.owners = [3]uint32{uint32(os.Geteuid()), 0, st.Uid}
	return d, nil
}

// descend enters directories one below the other, making those that are not there.
func (d *directory) descend(names ...string) (*directory, error) {
	return d.walk(names, (*directory).enter)
}

// find enters directories one below the other that are there.
func (d *directory) find(names ...string) (*directory, error) {
	return d.walk(names, func(d *directory, name string) (*directory, error) { return d.trusted(name, false) })
}

func (d *directory) walk(names []string, step func(*directory, string) (*directory, error)) (*directory, error) {
	at := d
	for _, name := range names {
		next, err := step(at, name)
		if at != d {
			at.close()
		}
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

// enter opens a directory in d, and makes it where there is none.
func (d *directory) enter(name string) (*directory, error) { return d.trusted(name, true) }

// fresh makes a directory in d, in the place of one that a try that failed has left.
func (d *directory) fresh(name string) (*directory, error) {
	err := unix.Mkdirat(d.fd, name, dirMode)
	if errors.Is(err, unix.EEXIST) {
		if err := d.remove(name); err != nil {
			return nil, err
		}
		err = unix.Mkdirat(d.fd, name, dirMode)
	}
	if err != nil {
		return nil, d.failed("create", name, err)
	}
	return d.trusted(name, false)
}

// trusted opens a directory in d that belongs to nobody who could exchange what is in it.
func (d *directory) trusted(name string, create bool) (*directory, error) {
	next, err := d.step(name, create)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(next.fd, &st); err == nil && !d.trusts(st.Uid) {
		err = foreign(st.Uid)
	}
	if err != nil {
		next.close()
		return nil, d.failed("enter", name, err)
	}
	return next, nil
}

// step opens a directory in d, whoever owns it.
func (d *directory) step(name string, create bool) (*directory, error) {
	open := func() (int, error) {
		// O_PATH asks for no right to list the directory. With O_DIRECTORY, a link is ENOTDIR.
		return unix.Openat(d.fd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	fd, err := retry(open)
	if errors.Is(err, unix.ENOENT) && create {
		if err := unix.Mkdirat(d.fd, name, dirMode); err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, d.failed("create", name, err)
		}
		fd, err = retry(open)
	}
	if errors.Is(err, unix.ENOTDIR) {
		err = errInTheWay
	}
	if err != nil {
		return nil, d.failed("enter", name, err)
	}
	return &directory{fd: fd, path: path.Join(d.path, name), owners: d.owners}, nil
}

func (d *directory) trusts(uid uint32) bool {
	return uid == d.owners[0] || uid == d.owners[1] || uid == d.owners[2]
}

// replace moves the directory name from d into home, in the place of whatever has its name there,
// which is then in d.
func (d *directory) replace(name string, home *directory) error {
	err := unix.Renameat(d.fd, name, home.fd, name)
	if !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.ENOTDIR) {
		return home.failed("put in place", name, err)
	}
	err = unix.Renameat2(d.fd, name, home.fd, name, unix.RENAME_EXCHANGE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EOPNOTSUPP) {
		return home.failed("put in place", name, err)
	}
	return d.replaceInTwo(name, home)
}

// replaceInTwo is replace where the file system cannot exchange, as NFS: for a moment there is no
// folder. There never is half of one.
func (d *directory) replaceInTwo(name string, home *directory) error {
	old := name + ".old"
	if err := d.remove(old); err != nil {
		return err
	}
	if err := unix.Renameat(home.fd, name, d.fd, old); err != nil {
		return home.failed("move away", name, err)
	}
	if err := unix.Renameat(d.fd, name, home.fd, name); err != nil {
		return errors.Join(home.failed("put in place", name, err), home.failed("put back", name, unix.Renameat(d.fd, old, home.fd, name)))
	}
	return d.remove(old)
}

// remove removes what is called name in d, with all that is in it. Nothing there is well too.
func (d *directory) remove(name string) error {
	if err := unix.Unlinkat(d.fd, name, 0); err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	root, err := os.OpenRoot("/proc/self/fd/" + strconv.Itoa(d.fd))
	if err != nil {
		return d.failed("open", "", err)
	}
	defer root.Close()
	return d.failed("remove", name, root.RemoveAll(name)) // follows no link
}

// removeFolder is remove for what is probably a folder of these files: nobody has to ask for their names then.
func (d *directory) removeFolder(name string, files []string) error {
	folder, err := d.step(name, false)
	if err != nil {
		return d.remove(name)
	}
	for _, file := range files {
		_ = unix.Unlinkat(folder.fd, file, 0) // what cannot go is told of below
	}
	folder.close()
	if unix.Unlinkat(d.fd, name, unix.AT_REMOVEDIR) == nil {
		return nil
	}
	return d.remove(name)
}

// sync brings the directory's entries to the disk. Who may not list the directory cannot.
func (d *directory) sync() error {
	fd, err := retry(func() (int, error) {
		return unix.Openat(d.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if errors.Is(err, unix.EACCES) {
		return nil
	}
	if err != nil {
		return d.failed("open", "", err)
	}
	defer unix.Close(fd)
	if err := unix.Fsync(fd); !errors.Is(err, unix.EINVAL) { // a file system that has no such thing
		return d.failed("write", "", err)
	}
	return nil
}

func (d *directory) close() { unix.Close(d.fd) }

// retry repeats a call that a signal interrupted: FUSE and NFS do return EINTR, and the Go runtime
// sends its threads SIGURG many times a second.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
