// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// Names by which a layer hides files of lower layers (OCI image specification, layer.md).
const (
	whiteout = ".wh."
	opaque   = ".wh..opq" // behind whiteout: everything in this directory
)

// Bounds of a path. Linux opens none that is longer (PATH_MAX) or leads through more links.
const (
	maxPath  = 4096
	maxLinks = 40
)

// enter opens the directory that entries call dir, and makes it where it is not there: the
// archives of some tools leave directories out.
func (t *tree) enter(dir string) error {
	if t.parent.dir != nil && t.parent.named == dir {
		return nil
	}
	real, err := t.resolve(dir, true)
	if err != nil {
		return err
	}
	opened, err := t.root.OpenRoot(real)
	if err != nil {
		return err
	}
	t.forget()
	t.parent = parent{named: dir, real: real, dir: opened}
	// What this layer has below a directory it has in the directory too, said or not.
	for above := real; above != "."; above = path.Dir(above) {
		if t.marked(above) {
			break
		}
		t.mark(above)
	}
	return nil
}

// reenter makes the next entry look its directory up anew.
func (t *tree) reenter() { t.parent.named = "\x00" }

// resolve follows the links on the way to a directory, with the tree as their root, and returns
// its path without any.
func (t *tree) resolve(dir string, create bool) (string, error) {
	if len(dir) > maxPath {
		return "", corrupt("a path of %d bytes", len(dir))
	}
	var way []string
	rest, links := dir, 0
	for rest != "" {
		var element string
		element, rest, _ = strings.Cut(rest, "/")
		switch element {
		case "", ".":
			continue
		case "..":
			way = way[:max(len(way)-1, 0)]
			continue
		}
		here := path.Join(append(way[:len(way):len(way)], element)...)
		info, err := t.root.Lstat(here)
		switch {
		case errors.Is(err, fs.ErrNotExist) && create:
			if err := t.makeDir(t.root, here, 0o755); err != nil {
				return "", err
			}
		case err != nil:
			return "", err
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := t.root.Readlink(here)
			if err != nil {
				return "", err
			}
			if links++; links > maxLinks || len(target)+len(rest) > maxPath {
				return "", corrupt("a path through too many links, the last to %s", printable.Truncate(printable.Escape(target), 256))
			}
			if strings.HasPrefix(target, "/") {
				way = nil
			}
			rest = target + "/" + rest
			continue
		case !info.IsDir():
			return "", corrupt("%s is a file, and the layer has files in it", printable.Truncate(printable.Escape(here), 256))
		}
		way = append(way, element)
	}
	if len(way) == 0 {
		return ".", nil
	}
	return path.Join(way...), nil
}

// hide removes what a whiteout in the entered directory hides.
func (t *tree) hide(what string) error {
	switch {
	case whiteout+what == whiteout+opaque:
		return t.clear(t.parent.dir, t.parent.real)
	case what == "", what == ".", what == "..", strings.HasPrefix(what, whiteout):
		return nil // of aufs, which marks its own files so
	}
	return t.hideName(t.parent.dir, t.parent.real, what)
}

// hideName removes a name that lower layers have. Of a directory that this layer has too, what is its own stays.
func (t *tree) hideName(in *os.Root, real, base string) error {
	real = path.Join(real, base)
	if !t.marked(real) {
		return t.remove(in, base)
	}
	if info, err := in.Lstat(base); err != nil || !info.IsDir() {
		return nil
	}
	dir, err := in.OpenRoot(base)
	if err != nil {
		return err
	}
	defer dir.Close()
	return t.clear(dir, real)
}

// clear removes from a directory what lower layers have in it.
func (t *tree) clear(dir *os.Root, real string) error {
	list, err := names(dir, ".")
	if err != nil {
		return err
	}
	for _, name := range list {
		if err := t.hideName(dir, real, name); err != nil {
			return err
		}
	}
	return nil
}
