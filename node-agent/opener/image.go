// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package opener

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/process"
)

// Image is the file, or directory, that a container was started from, as the kernel knows it.
type Image struct {
	// Path as the kernel shows it to the starter, escaped.
	Path string `json:"path"`
	// Claimed tells that only the starter's title says so.
	Claimed bool `json:"claimed,omitempty"`
	// Deleted tells that no name leads to the file any more.
	Deleted bool `json:"deleted,omitempty"`
	// FileSystem, Source and Device of the mount that it is on, as in mountinfo.
	FileSystem string `json:"fileSystem,omitempty"`
	Source     string `json:"source,omitempty"`
	Device     string `json:"device,omitempty"`
	// Within is its path in that file system, escaped; empty where that is not known.
	Within string `json:"within,omitempty"`
	// Known tells that the file system says the following of the file.
	Known      bool   `json:"known,omitempty"`
	Inode      uint64 `json:"inode,omitempty"`
	Size       int64  `json:"size,omitempty"`
	ModTime    int64  `json:"modTime,omitempty"` // nanoseconds since 1970, as ChangeTime
	ChangeTime int64  `json:"changeTime,omitempty"`
	UID        uint32 `json:"uid,omitempty"`
	GID        uint32 `json:"gid,omitempty"`
	Mode       uint32 `json:"mode,omitempty"`

	// mount is the number of the mount that the open file is on, which no file system is asked for; 0: not known.
	mount int
}

// networked are file systems whose source names the same files on every node. A user mounts none of them, so the
// source is no user's claim; that of a FUSE is.
var networked = []string{"nfs", "nfs4", "lustre", "ceph", "cifs", "smb3", "gpfs", "beegfs", "panfs", "pvfs2", "wekafs", "gfs2", "ocfs2", "afs"}

// place names the file system wherever it is mounted: a node's own by node and device.
func (i *Image) place(node string) []string {
	if slices.Contains(networked, i.FileSystem) {
		return []string{"network", i.FileSystem, i.Source}
	}
	return []string{"node", node, i.Device}
}

// Key is equal for containers of the same file with the same content, on every node. It is empty where that cannot be told.
func (i *Image) Key(node string) string {
	switch {
	case i.Device == "":
		return ""
	case i.Known:
		return "v1-" + hash(append(i.place(node), fmt.Sprint(i.Inode), fmt.Sprint(i.Size), fmt.Sprint(i.ModTime), fmt.Sprint(i.ChangeTime)))
	case i.Within != "":
		return "v1-" + hash(append(i.place(node), i.Within))
	}
	return ""
}

// Live names the file, or directory, whatever its content.
func (i *Image) Live(node string) string {
	at := i.Within
	if at == "" || i.Deleted {
		at = "inode " + fmt.Sprint(i.Inode)
	}
	return hash(append(i.place(node), at))
}

// Identity is inode:size:mtime:ctime of the file; empty where the file system does not say.
func (i *Image) Identity() string {
	if !i.Known {
		return ""
	}
	return fmt.Sprintf("%d:%d:%d:%d", i.Inode, i.Size, i.ModTime, i.ChangeTime)
}

func hash(parts []string) string {
	sum := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// locate fills in which file system the image is on, of the mounts that its starter sees: by the number of the mount
// that the file was opened on, or, where that is of another namespace, by the device and the path.
func (i *Image) locate(raw string, mount int, device string, mounts []process.Mount) {
	var on *process.Mount
	for k := range mounts {
		m := &mounts[k]
		switch {
		case mount != 0 && m.ID == mount:
			i.on(m, raw)
			return
		case m.Device == device && below(raw, m.Point) && (on == nil || len(m.Point) >= len(on.Point)):
			on = m
		}
	}
	if on != nil {
		i.on(on, raw)
		return
	}
	i.Device = device
}

func (i *Image) on(m *process.Mount, raw string) {
	i.FileSystem, i.Source, i.Device = m.Type, m.Source, m.Device
	if below(raw, m.Point) && !i.Deleted {
		i.Within = printable.Escape(path.Join(m.Root, strings.TrimPrefix(raw, m.Point)))
	}
}

// below tells whether the path is the directory or in it.
func below(p, dir string) bool {
	return dir == "/" || p == dir || strings.HasPrefix(p, dir+"/")
}

// directoryImage is a sandbox: the directory that the starter has mounted as the image.
func directoryImage(c *process.Container, mounts []process.Mount) Image {
	d := c.Directory
	i := Image{Path: printable.Escape(d.Root), FileSystem: d.Type, Source: d.Source, Device: d.Device, Within: printable.Escape(d.Root)}
	best := -1
	for _, m := range mounts {
		// Its path is where another mount of the file system shows it; that of the session is gone with the container.
		if m.Device == d.Device && m.ID != d.ID && below(d.Root, m.Root) && len(m.Root) > best && !strings.Contains(m.Point, "/mnt/session/") {
			best = len(m.Root)
			i.Path = printable.Escape(path.Join(m.Point, strings.TrimPrefix(d.Root, m.Root)))
		}
	}
	return i
}

// orphanImage is what can be said of a container without its starter: nothing but its root's device, which is its own.
func orphanImage(c *process.Container) Image {
	return Image{Path: "container of process " + strconv.Itoa(c.Leader.PID) + ", whose starter ended", FileSystem: c.Root.Type, Device: c.Root.Device,
		Within: fmt.Sprintf("%d-%d", c.Leader.PID, c.Leader.Start)}
}
