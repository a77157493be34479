// Package volume finds and opens image files on a volume whose content an attacker writes.
//
// No path of the volume is ever given to the kernel in a way that could lead out of it, follow a link the package has not
// read itself, wait for a FIFO's other end, or open a device.
package volume

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// maxLinks is the number of symbolic links one path may lead through, as in the kernel (path_resolution(7)).
const maxLinks = 40

// Root is the opened top directory of a volume. Its methods may be called from several goroutines.
type Root struct {
	fd        int
	dev       uint64
	mountPath string
	// openat2 is false where the kernel (before 5.6) or a seccomp profile refuses that call. Paths are then walked one
	// name at a time, which is as safe and slower.
	openat2 bool
	pace    *Pace
	watch   *Watch
}

// SetPace limits how fast the volume is searched, and its images are opened. It is called before anything else.
func (r *Root) SetPace(p *Pace) { r.pace = p }

// Pace returns what SetPace was given; nil where nothing was.
func (r *Root) Pace() *Pace { return r.pace }

// OpenRoot opens dir as the top of a volume. mountPath is the absolute path at which users see it, "/" when empty: it is
// stripped from the paths they write, and it is what an absolute link on the volume must begin with to stay on it.
func OpenRoot(dir, mountPath string) (*Root, error) {
	mountPath, err := cleanMountPath(mountPath)
	if err != nil {
		return nil, err
	}
	fd, err := retry(func() (int, error) {
		return unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, fmt.Errorf("open the volume at %s: %w", dir, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("stat the volume at %s: %w", dir, err)
	}
	r := &Root{fd: fd, dev: st.Dev, mountPath: mountPath}
	r.openat2 = r.probe()
	return r, nil
}

// Close releases the directory. Opened files stay usable.
func (r *Root) Close() error { return unix.Close(r.fd) }

// UserPath returns the absolute path under which users know p, a path relative to the volume.
func (r *Root) UserPath(p string) string { return path.Join(r.mountPath, p) }

// probe asks for the root itself, so that a refusal can only mean the call: seccomp profiles older than openat2 answer
// EPERM or ENOSYS, and later an EPERM could not be told from the file system's.
func (r *Root) probe() bool {
	fd, err := r.beneath(".")
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// beneath takes an O_PATH descriptor of p if no part of it is a link: ELOOP otherwise.
func (r *Root) beneath(p string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS,
	}
	return retry(func() (int, error) { return unix.Openat2(r.fd, p, &how) })
}

// located is a file that lookup found: an O_PATH descriptor, its attributes, and the path without links that led to it.
// The owner closes fd.
type located struct {
	fd   int
	st   unix.Stat_t
	real string
}

// lookup finds p and follows the links on its way as far as they stay on the volume. The descriptor gives no access to
// content and is never that of a link. Errors are of type *Error.
func (r *Root) lookup(p string) (located, error) {
	names := components(p)
	if strings.HasPrefix(p, "/") || strings.IndexByte(p, 0) >= 0 || slices.Contains(names, "..") {
		return located{}, &Error{Reason: ReasonInvalidSpec, Path: p, Message: "not a path relative to the volume"}
	}
	p = joined(names)
	if r.openat2 && len(p) < unix.PathMax {
		fd, err := r.beneath(p)
		if err == nil {
			found := located{fd: fd, real: p}
			if err := unix.Fstat(fd, &found.st); err != nil {
				unix.Close(fd)
				return located{}, refused(p, err)
			}
			// With O_PATH and O_NOFOLLOW a link at the very end is opened itself.
			if !isLink(&found.st) {
				return found, nil
			}
			unix.Close(fd)
		} else if !errors.Is(err, unix.ELOOP) {
			return located{}, refused(p, err)
		}
	}
	w := walk{root: r, asked: p, at: located{fd: -1}}
	if err := w.run(); err != nil {
		w.leave()
		return located{}, err
	}
	return w.at, nil
}

// walk resolves one path name by name. Every step opens a single name with O_NOFOLLOW from a directory already held, so
// no step can leave the volume whatever is renamed meanwhile.
type walk struct {
	root  *Root
	asked string
	at    located
	names []string // the names from the root to at
	links int
	last  string // the target of the last link followed, for messages
}

func (w *walk) run() error {
	if err := w.restart(); err != nil {
		return err
	}
	pending := components(w.asked)
	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]
		if name == ".." {
			if err := w.up(); err != nil {
				return err
			}
			continue
		}
		target, err := w.step(name)
		if err != nil {
			return err
		}
		if target == "" {
			continue
		}
		head, err := w.follow(target)
		if err != nil {
			return err
		}
		pending = append(head, pending...)
	}
	w.at.real = joined(w.names)
	return nil
}

// step enters name, or returns the target of the link that it is.
func (w *walk) step(name string) (target string, err error) {
	w.root.turn()
	fd, err := retry(func() (int, error) {
		return unix.Openat(w.at.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return "", w.failed(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return "", w.failed(err)
	}
	if isLink(&st) {
		defer unix.Close(fd)
		w.root.turn()
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(fd, "", buf)
		if err != nil {
			return "", w.failed(err)
		}
		if n == 0 {
			return "", w.failed(unix.ENOENT)
		}
		return string(buf[:n]), nil
	}
	w.leave()
	w.at.fd, w.at.st = fd, st
	w.names = append(w.names, name)
	return "", nil
}

// follow returns the names a link's target stands for, seen from where the walk now is.
func (w *walk) follow(target string) ([]string, error) {
	w.links++
	w.last = target
	if w.links > maxLinks {
		return nil, w.unsupported(fmt.Sprintf("leads through more than %d links, the last to %s", maxLinks, quoted([]string{target})))
	}
	if !strings.HasPrefix(target, "/") {
		return components(target), nil
	}
	inside, ok := stripMountPath(w.root.mountPath, target)
	if !ok {
		return nil, w.unsupported(fmt.Sprintf("a link that leads outside the volume, to %s (the volume is %s)",
			quoted([]string{target}), printable.Escape(w.root.mountPath)))
	}
	w.names = w.names[:0]
	return components(inside), w.restart()
}

// up goes to the parent directory by its path, because ".." would be answered by whatever the directory's parent is now.
func (w *walk) up() error {
	if len(w.names) == 0 {
		return w.unsupported("a link that leads outside the volume, to " + quoted([]string{w.last}))
	}
	names := w.names[:len(w.names)-1]
	w.names = nil
	if err := w.restart(); err != nil {
		return err
	}
	for _, name := range names {
		target, err := w.step(name)
		if err != nil {
			return err
		}
		if target != "" {
			return &Error{Reason: ReasonChanging, Path: w.asked, Message: "a directory on its way was replaced by a link while it was being opened"}
		}
	}
	return nil
}

// restart puts the walk at the root.
func (w *walk) restart() error {
	w.leave()
	fd, err := unix.FcntlInt(uintptr(w.root.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return w.failed(err)
	}
	w.at.fd = fd
	if err := unix.Fstat(fd, &w.at.st); err != nil {
		return w.failed(err)
	}
	return nil
}

func (w *walk) leave() {
	if w.at.fd >= 0 {
		unix.Close(w.at.fd)
	}
	w.at.fd = -1
}

// failed explains err. A name that is missing behind a link is the link's fault, and says where it leads.
func (w *walk) failed(err error) error {
	if w.links > 0 && vanished(err) {
		return w.unsupported("a link to " + quoted([]string{w.last}) + ", which does not exist on the volume")
	}
	return refused(w.asked, err)
}

func (w *walk) unsupported(message string) error {
	return &Error{Reason: ReasonUnsupported, Path: w.asked, Message: message}
}

// components splits a path at its slashes and drops what means "here".
func components(p string) []string {
	var names []string
	for name := range strings.SplitSeq(p, "/") {
		if name != "" && name != "." {
			names = append(names, name)
		}
	}
	return names
}

// joined is the path of names from the root, which itself is ".".
func joined(names []string) string {
	if len(names) == 0 {
		return "."
	}
	return strings.Join(names, "/")
}

// retry repeats a call that a signal interrupted. FUSE and NFS file systems do return EINTR, and the Go runtime sends
// its threads SIGURG many times a second.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
