package rootfs

import (
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/sifscan/sifscan-operator/node-agent/squashfs"
)

// confined resolves names below a directory without openat2, which kernels
// before 5.6 and some seccomp profiles lack: it follows symlinks itself, with
// the directory as root, and lets an os.Root open what has none left. The
// os.Root keeps the promise when somebody exchanges directories meanwhile.
type confined struct{ root *os.Root }

// resolve returns the name of the same file without symlinks in it, but for the
// last element where follow is not set.
func (c confined) resolve(name string, follow bool) (string, error) {
	var way []string
	rest, links := name, 0
	for rest != "" {
		var element string
		element, rest, _ = strings.Cut(rest, "/")
		rest = strings.TrimLeft(rest, "/")
		switch element {
		case "", ".":
			continue
		case "..":
			way = way[:max(len(way)-1, 0)]
			continue
		}
		here := path.Join(append(way[:len(way):len(way)], element)...)
		info, err := c.root.Lstat(here)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 || rest == "" && !follow {
			way = append(way, element)
			continue
		}
		if links++; links > squashfs.MaxSymlinks {
			return "", syscall.ELOOP
		}
		target, err := c.root.Readlink(here)
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(target, "/") {
			way = nil
		}
		rest = target + "/" + rest
	}
	if len(way) == 0 {
		return ".", nil
	}
	return path.Join(way...), nil
}

func (c confined) open(name string) (*os.File, error) {
	name, err := c.resolve(name, true)
	if err != nil {
		return nil, err
	}
	return c.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

func (c confined) stat(name string, follow bool) (fs.FileInfo, error) {
	name, err := c.resolve(name, follow)
	if err != nil {
		return nil, err
	}
	return c.root.Lstat(name)
}

func (c confined) readlink(name string) (string, error) {
	name, err := c.resolve(name, false)
	if err != nil {
		return "", err
	}
	return c.root.Readlink(name)
}
