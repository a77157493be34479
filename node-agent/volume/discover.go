package volume

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Discover searches the volume for what spec asks for. It opens no file, only directories.
//
// A single path that cannot be used is a failure in Found, not an error. The error is nil or one of
//
//   - an *Error with the reason InvalidSpec, before anything was read;
//   - an *Error with the reason NoTargets when there is no target at all, with Found telling what was seen instead;
//   - the context's error, with what was found until then.
func Discover(ctx context.Context, root *Root, spec Spec) (Found, error) {
	p, err := compile(root.mountPath, spec)
	if err != nil {
		return Found{}, err
	}
	root.watch.Ask()
	defer root.watch.Answer()
	s := &search{
		ctx: ctx, root: root, plan: p, wanted: &tree{},
		images: map[inode]int{},
		linked: map[visited]bool{},
		buffer: make([]byte, listingBuffer),
	}
	err = s.run()
	var limit *limitReached
	if errors.As(err, &limit) {
		s.found.Stopped, err = limit.message, nil
	}
	s.found.finish()
	if err != nil {
		return s.found, fmt.Errorf("search of the volume interrupted after %d entries: %w", s.found.Entries, err)
	}
	if len(s.found.Targets) == 0 {
		return s.found, s.found.nothing(p)
	}
	return s.found, nil
}

// search is one run of Discover. Its methods return only errors that end it.
type search struct {
	ctx    context.Context
	root   *Root
	plan   plan
	buffer []byte

	wanted *tree
	images map[inode]int // index in found.Targets
	linked map[visited]bool
	memory int64
	found  Found
}

// inode identifies a file whatever its name.
type inode struct{ dev, ino uint64 }

func inodeOf(st *unix.Stat_t) inode { return inode{st.Dev, st.Ino} }

// limitReached ends a search that one of its Limits does not allow to go on.
type limitReached struct{ message string }

func (e *limitReached) Error() string { return e.message }

func (s *search) run() error {
	for _, path := range s.plan.exact {
		if err := s.exact(path); err != nil {
			return err
		}
	}
	bases := map[string]string{}
	for _, p := range s.plan.patterns {
		real, known := bases[p.base]
		if !known {
			var err error
			if real, err = s.base(p.base); err != nil {
				return err
			}
			bases[p.base] = real
		}
		if real != "" {
			s.want(real, p.rest)
		}
	}
	return s.walk()
}

// exact takes a path without wildcards: an image, or a directory to search.
func (s *search) exact(path string) error {
	if err := s.ask(); err != nil {
		return err
	}
	found, err := s.root.lookup(path)
	if err != nil {
		s.refuse(err, true)
		return nil
	}
	defer unix.Close(found.fd)
	if isDir(&found.st) && !isSandbox(found.fd) {
		s.want(found.real, []segment{{kind: doubleStar, text: "**"}})
		return nil
	}
	if err := s.root.accept(path, &found); err != nil {
		s.refuse(err, true)
		return nil
	}
	return s.add(found.real, path, &found.st, true)
}

// base returns the path without links of the directory in which a pattern begins, or "" after recording why there is none.
func (s *search) base(path string) (string, error) {
	if err := s.ask(); err != nil {
		return "", err
	}
	found, err := s.root.lookup(path)
	if err != nil {
		s.refuse(err, true)
		return "", nil
	}
	defer unix.Close(found.fd)
	if !isDir(&found.st) {
		s.found.fail(&Error{Reason: ReasonNoTargets, Path: path, Message: "is not a directory, so no pattern can match below it"}, true)
		return "", nil
	}
	return found.real, nil
}

// want adds a pattern below a directory the user named.
func (s *search) want(dir string, rest []segment) {
	var segments []segment
	for _, name := range components(dir) {
		segments = append(segments, segment{kind: literal, text: name})
	}
	s.wanted.add(append(segments, rest...), len(segments))
}

// add records that path, without links, leads to the image st; name is how it was met, often the same.
func (s *search) add(path, name string, st *unix.Stat_t, explicit bool) error {
	const perImage = 256 // a Target, its place in the map, and what the allocator rounds up
	if err := s.charge(perImage + int64(len(path)+len(name))); err != nil {
		return err
	}
	index, known := s.images[inodeOf(st)]
	if !known {
		index = len(s.found.Targets)
		s.images[inodeOf(st)] = index
		s.found.Targets = append(s.found.Targets, Target{Path: path, Info: infoOf(st)})
	}
	t := &s.found.Targets[index]
	t.Explicit = t.Explicit || explicit
	if path < t.Path {
		t.Path, path = path, t.Path
	}
	for _, alias := range []string{path, name} {
		if alias != t.Path {
			t.Aliases = append(t.Aliases, alias)
		}
	}
	return nil
}

// refuse records a look-up's error.
func (s *search) refuse(err error, explicit bool) {
	var e *Error
	if errors.As(err, &e) {
		s.found.fail(e, explicit)
	}
}

// ask waits for the file system's turn to be asked once more.
func (s *search) ask() error { return s.root.request(s.ctx) }

// charge takes bytes from what the search may keep, and gives them back when negative.
func (s *search) charge(bytes int64) error {
	s.memory += bytes
	if s.memory > s.plan.limits.Memory {
		return &limitReached{fmt.Sprintf("stopped after %d entries: their names take more than the %d bytes that a search may use; name fewer directories in paths",
			s.found.Entries, s.plan.limits.Memory)}
	}
	return nil
}
