package volume

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// snapshots are directories in which file systems show older states of the same files: NetApp, ZFS, Ceph, and
// Spectrum Scale or snapper. They are entered only when the user wrote the name.
var snapshots = map[string]bool{".snapshot": true, ".zfs": true, ".snap": true, ".snapshots": true}

// directory is one the walk is in.
type directory struct {
	fd       int
	path     string
	dev      uint64
	depth    int
	wanted   states
	excluded states
}

// child is an entry that may matter.
type child struct {
	entry
	wanted   states
	excluded states
	image    bool // a pattern ends here, and the name is an image's
}

// walk follows every pattern at once from the root.
func (s *search) walk() error {
	wanted := s.wanted.begin()
	if !wanted.leads() {
		return nil
	}
	root := directory{path: ".", dev: s.root.dev, wanted: wanted, excluded: s.plan.exclude.begin()}
	return s.enter(s.root.fd, ".", root)
}

// enter opens name in the directory parent and walks it.
func (s *search) enter(parent int, name string, d directory) error {
	if d.depth > s.plan.limits.Depth {
		s.found.fail(&Error{Reason: ReasonUnsupported, Path: d.path, Message: fmt.Sprintf(
			"not searched: it lies inside more than %d directories", s.plan.limits.Depth)}, false)
		return nil
	}
	names, few := d.wanted.names()
	flags := unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	if few {
		// Asking for known names needs no right to list, and spares the metadata server the listing.
		flags |= unix.O_PATH
	}
	if err := s.ask(); err != nil {
		return err
	}
	fd, err := retry(func() (int, error) { return unix.Openat(parent, name, flags, 0) })
	if err != nil {
		s.closed(parent, name, d, err)
		return nil
	}
	defer unix.Close(fd)
	d.fd = fd
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		s.closed(parent, name, d, err)
		return nil
	}
	if _, target := s.images[inodeOf(&st)]; target {
		return nil
	}
	if st.Dev != d.dev {
		named := d.wanted.named()
		if len(named) < len(d.wanted) {
			s.found.OtherFilesystems.add(d.path)
		}
		d.dev, d.wanted = st.Dev, named
		names, few = named.names()
	}
	if few {
		return s.ofNames(d, names)
	}
	return s.ofListing(d)
}

// ofNames looks for the only names that can match.
func (s *search) ofNames(d directory, names []string) error {
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		c, ok := s.consider(d, entry{name: name, kind: unix.DT_UNKNOWN})
		if !ok {
			continue
		}
		if err := s.visit(d, c, func(string) {}); err != nil {
			return err
		}
	}
	return nil
}

// ofListing reads the whole directory and keeps what may match, so that it can be visited in order.
func (s *search) ofListing(d directory) error {
	s.found.Directories++
	var kept []child
	var charged int64
	defer func() { _ = s.charge(-charged) }()
	marked := d.depth > 0 && len(d.wanted.named()) == 0
	err := list(d.fd, s.buffer, s.ask, func(e entry) error {
		if s.found.Entries++; s.found.Entries > s.plan.limits.Entries {
			return &limitReached{fmt.Sprintf("stopped after %d entries, the most a search may look at; name fewer directories in paths", s.plan.limits.Entries)}
		}
		if marked && e.name == sandboxMark && (e.kind == unix.DT_DIR || isSandbox(d.fd)) {
			return errSandbox
		}
		c, ok := s.consider(d, e)
		if !ok {
			return nil
		}
		const perChild = 256 // a child, its states, and the slice it grows in
		charged += perChild + int64(len(e.name))
		kept = append(kept, c)
		return s.charge(perChild + int64(len(e.name)))
	})
	var errno unix.Errno
	switch {
	case err == errSandbox:
		s.found.Sandboxes.add(d.path)
		return nil
	case errors.As(err, &errno):
		s.closed(d.fd, ".", d, err)
	case err != nil:
		return err
	}
	slices.SortFunc(kept, func(a, b child) int { return cmp.Compare(a.name, b.name) })
	for _, c := range kept {
		if err := s.visit(d, c, s.found.Vanished.add); err != nil {
			return err
		}
	}
	return nil
}

// errSandbox ends the listing of a directory that turns out to be a sandbox image.
var errSandbox = errors.New("sandbox")

// consider decides from name and type alone whether an entry may matter.
func (s *search) consider(d directory, e entry) (child, bool) {
	c := child{entry: e}
	if snapshots[e.name] {
		c.wanted = d.wanted.enterLiteral(e.name)
	} else {
		c.wanted = d.wanted.enter(e.name)
	}
	if len(c.wanted) == 0 {
		return child{}, false
	}
	c.excluded = d.excluded.enter(e.name)
	if c.excluded.matched() {
		s.found.excluded++
		return child{}, false
	}
	matched := c.wanted.matched()
	c.image = matched && s.plan.fileName(e.name)
	switch e.kind {
	case unix.DT_DIR, unix.DT_UNKNOWN:
		return c, c.image || c.wanted.leads()
	case unix.DT_LNK:
		return c, c.image || d.wanted.enterLiteral(e.name).leads()
	case unix.DT_REG:
		if matched && !c.image {
			s.found.otherNames.add(below(d.path, e.name))
		}
	}
	return c, c.image
}

// visit looks at one entry. gone is told when it is no longer there.
func (s *search) visit(d directory, c child, gone func(string)) error {
	path := below(d.path, c.name)
	if c.kind == unix.DT_DIR {
		return s.subdirectory(d, c, path)
	}
	if err := s.ask(); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(d.fd, c.name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		if vanished(err) {
			gone(path)
		} else {
			s.found.fail(refused(path, err), false)
		}
		return nil
	}
	switch {
	case isDir(&st):
		return s.subdirectory(d, c, path)
	case isLink(&st):
		return s.link(d, c, path)
	case !c.image:
	case isRegular(&st):
		return s.add(path, path, &st, false)
	default:
		s.found.fail(&Error{Reason: ReasonUnsupported, Path: path, Message: typeName(&st) + ", not an image"}, false)
	}
	return nil
}

// subdirectory takes a directory with an image's name and a sandbox's content for a target, and enters every other one
// below which something can match.
func (s *search) subdirectory(d directory, c child, path string) error {
	if c.image {
		if err := s.ask(); err != nil {
			return err
		}
		fd, err := retry(func() (int, error) {
			return unix.Openat(d.fd, c.name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		})
		if err == nil {
			defer unix.Close(fd)
			if err := s.ask(); err != nil {
				return err
			}
			var st unix.Stat_t
			if isSandbox(fd) && unix.Fstat(fd, &st) == nil {
				return s.add(path, path, &st, false)
			}
		}
	}
	if !c.wanted.leads() {
		return nil
	}
	return s.enter(d.fd, c.name, directory{path: path, dev: d.dev, depth: d.depth + 1, wanted: c.wanted, excluded: c.excluded})
}

// link takes what a link with an image's name leads to. Directories behind links are entered only where the user wrote
// the link's name: those that a wildcard meets could lead in circles, and are reached by their own path.
func (s *search) link(d directory, c child, path string) error {
	found, err := s.root.lookup(path)
	if err != nil {
		s.refuse(err, false)
		return nil
	}
	defer unix.Close(found.fd)
	if isDir(&found.st) && !(c.image && isSandbox(found.fd)) {
		return s.linkedDirectory(d, c, found)
	}
	if !c.image {
		return nil
	}
	if err := s.root.accept(path, &found); err != nil {
		s.refuse(err, false)
		return nil
	}
	return s.add(found.real, path, &found.st, false)
}

func (s *search) linkedDirectory(d directory, c child, found located) error {
	var wanted states
	for _, t := range d.wanted.enterLiteral(c.name) {
		// Many links to one directory must not make the walk read it many times.
		if v := (visited{inodeOf(&found.st), t}); !s.linked[v] {
			s.linked[v] = true
			wanted = append(wanted, t)
		}
	}
	if !wanted.leads() {
		return nil
	}
	names := components(found.real)
	excluded := s.plan.exclude.begin()
	for _, name := range names {
		if excluded = excluded.enter(name); excluded.matched() {
			s.found.excluded++
			return nil
		}
	}
	return s.enter(found.fd, ".", directory{path: found.real, dev: d.dev, depth: len(names), wanted: wanted, excluded: excluded})
}

// visited is a directory that was entered through a link in one state of the patterns.
type visited struct {
	inode
	at *tree
}

// closed records that a directory could not be read.
func (s *search) closed(parent int, name string, d directory, err error) {
	switch {
	case vanished(err), errors.Is(err, unix.ELOOP):
		// Deleted, or replaced by a file or a link since it was listed.
		s.found.Vanished.add(d.path)
	case errors.Is(err, unix.EACCES) && d.path == "lost+found" && ownedByRoot(parent, name):
		// Every ext file system has one, closed to all but root and empty until fsck finds something. No user can make a
		// directory of root's.
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		s.found.fail(&Error{Reason: ReasonPermissionDenied, Path: d.path, Err: err,
			Message: "the directory cannot be searched: permission denied for the user and groups the scanner runs as"}, false)
	default:
		s.found.fail(refused(d.path, err), false)
	}
}

func ownedByRoot(dirfd int, name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Uid == 0
}

// below is the path of name in the directory dir.
func below(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}
