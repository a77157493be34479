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

func (r *Reader) resolveSlowly(path string, follow bool) (*Inode, error) {
	root, err := r.place(".", nil)
	if err != nil {
		return nil, err
	}
	way := []place{root}
	rest, links := path, 0
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		rest = strings.TrimLeft(rest, "/")
		switch name {
		case "", ".":
			continue
		case "..":
			way = way[:max(len(way)-1, 1)]
			continue
		}
		here := way[len(way)-1]
		e, found, err := here.index.Lookup(name)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, fs.ErrNotExist
		}
		inode, err := r.EntryInode(e)
		if err != nil {
			return nil, err
		}
		switch {
		case inode.Type == Symlink && (rest != "" || follow):
			if links++; links > MaxSymlinks {
				return nil, syscall.ELOOP
			}
			target, err := r.Readlink(inode)
			if err != nil {
				return nil, err
			}
			if target[0] == '/' {
				way = way[:1]
			}
			rest = strings.TrimSuffix(target, "/") + "/" + rest
		case inode.Type == Directory:
			if len(way) > MaxDepth {
				return nil, corrupt("directories are nested more than %d deep", MaxDepth)
			}
			next, err := r.place(join(here.path, name), inode)
			if err != nil {
				return nil, err
			}
			way = append(way, next)
		case rest != "":
			return nil, syscall.ENOTDIR
		default:
			return inode, nil
		}
	}
	inode := *way[len(way)-1].index.Inode()
	return &inode, nil
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
