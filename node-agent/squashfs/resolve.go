package squashfs

import (
	"io/fs"
	"strings"
	"syscall"
)

const (
	// MaxSymlinks is how many symlinks one path may lead through, as in Linux.
	MaxSymlinks = 40

	// indexCacheSize bounds the directories whose Index is kept. A scanner goes
	// through the tree depth first: it needs those above it and little more.
	indexCacheSize = 128
)

// Resolve finds the file a path means, as a process whose root is the image
// would: symlinks lead back into the image, absolute targets start at its root,
// and ".." at the root stays there. A symlink in the last place is followed
// when follow is set. Path is relative to the root; "." is the root.
//
// Errors about the path are fs.ErrNotExist, syscall.ENOTDIR and syscall.ELOOP;
// all others are about the image.
func (r *Reader) Resolve(path string, follow bool) (*Inode, error) {
	if dir, base, ok := splitKnown(path); ok {
		if x, ok := r.indexes.get(dir); ok {
			e, found, err := x.Lookup(base)
			switch {
			case err != nil:
				return nil, err
			case !found:
				return nil, fs.ErrNotExist
			case e.Type == Directory:
				// Kept, so that a walk finds the way to each level already made.
				inode, err := r.EntryInode(e)
				if err == nil {
					_, err = r.place(path, inode)
				}
				return inode, err
			case e.Type != Symlink || !follow:
				return r.EntryInode(e)
			}
		}
	}
	return r.resolveSlowly(path, follow)
}

// splitKnown splits a path whose directory part can be a key of the cache.
func splitKnown(path string) (dir, base string, ok bool) {
	dir, base = ".", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, base = path[:i], path[i+1:]
	}
	return dir, base, base != "" && base != "." && base != ".."
}

// place is a directory on the way, with the path under which it has no symlinks.
type place struct {
	index *Index
	path  string
}

// resolution is a path on the way to what it means.
type resolution struct {
	r      *Reader
	follow bool
	way    []place // from the root to where the path led so far
	rest   string  // what is left of it
	links  int     // followed so far
}

func (r *Reader) resolveSlowly(path string, follow bool) (*Inode, error) {
	root, err := r.place(".", nil)
	if err != nil {
		return nil, err
	}
	s := &resolution{r: r, follow: follow, way: []place{root}, rest: path}
	for s.rest != "" {
		var name string
		name, s.rest, _ = strings.Cut(s.rest, "/")
		s.rest = strings.TrimLeft(s.rest, "/")
		switch name {
		case "", ".":
		case "..":
			s.way = s.way[:max(len(s.way)-1, 1)]
		default:
			if inode, err := s.step(name); inode != nil || err != nil {
				return inode, err
			}
		}
	}
	inode := *s.way[len(s.way)-1].index.Inode()
	return &inode, nil
}

// step takes one element of the path. It returns an inode where the path ends
// with it; a directory becomes the next place instead.
func (s *resolution) step(name string) (*Inode, error) {
	here := s.way[len(s.way)-1]
	e, found, err := here.index.Lookup(name)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fs.ErrNotExist
	}
	inode, err := s.r.EntryInode(e)
	last := s.rest == ""
	switch {
	case err != nil:
		return nil, err
	case inode.Type == Symlink && (!last || s.follow):
		return nil, s.followLink(inode)
	case inode.Type == Directory:
		if len(s.way) > MaxDepth {
			return nil, corrupt("directories are nested more than %d deep", MaxDepth)
		}
		next, err := s.r.place(join(here.path, name), inode)
		s.way = append(s.way, next)
		return nil, err
	case !last:
		return nil, syscall.ENOTDIR
	}
	return inode, nil
}

// followLink puts a symlink's target in front of what is left of the path.
func (s *resolution) followLink(link *Inode) error {
	if s.links++; s.links > MaxSymlinks {
		return syscall.ELOOP
	}
	target, err := s.r.Readlink(link)
	if err != nil {
		return err
	}
	if target[0] == '/' {
		s.way = s.way[:1]
	}
	s.rest = strings.TrimSuffix(target, "/") + "/" + s.rest
	return nil
}

// place returns the index of the directory at a path without symlinks.
func (r *Reader) place(path string, dir *Inode) (place, error) {
	if x, ok := r.indexes.get(path); ok {
		return place{x, path}, nil
	}
	if dir == nil {
		var err error
		if dir, err = r.Root(); err != nil {
			return place{}, err
		}
	}
	return place{r.indexes.put(path, r.Index(dir)), path}, nil
}

func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}
