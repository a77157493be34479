// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// Place says where a target is.
type Place struct {
	// Volume is the index of its volume in Wanted.Volumes; handover.NoVolume where it is on none.
	Volume int
	// Path on the volume, raw bytes; on none, what names the target.
	Path string
	// Live names the file of a live container, as handover.Event; empty for others.
	Live string
	// Name in the inventory, escaped: relative to the volume where there is one, as users know it where there are several.
	Name string
}

// target is one thing to scan.
type target interface {
	place() Place
	// about is what is known of it unopened.
	about() v1alpha1.ReportTarget
	// identity of its content now, which stays the same as long as nobody changed it; empty where nothing tells.
	identity(ctx context.Context) string
	// scan reads it into r with the scanner.
	scan(ctx context.Context, s *Scanner, r *Result) error
}

// onVolume is a place on a volume.
type onVolume struct {
	root    *volume.Root
	index   int
	several bool
	path    string // relative to the volume
}

func (o onVolume) at(p string) onVolume {
	o.path = p
	return o
}

func (o onVolume) place() Place {
	name := o.path
	if o.several {
		name = o.root.UserPath(o.path)
	}
	return Place{Volume: o.index, Path: o.path, Name: printable.Escape(name)}
}

func (o onVolume) describe(info volume.Info) v1alpha1.ReportTarget {
	return targetOf(path.Clean(o.root.UserPath(o.path)), info)
}

// opened is an image that can be read.
type opened struct {
	*rootfs.Image
	// directory returns the path of the directory that the image is; nil where it is none and is
	// extracted for engines that need one. An error tells that the path means something else by now.
	directory func() (string, error)
	// architecture, where it is known from elsewhere than the files.
	architecture string
	// work is the directory of this scan and what its files take of Tmp.Limit; empty where nothing was written yet.
	work  string
	spent int64
	// repository tells that the files are source code.
	repository bool
}

// imageFile is an image on a volume: one file, or a sandbox.
type imageFile struct {
	onVolume
	info volume.Info
}

func (t *imageFile) about() v1alpha1.ReportTarget    { return t.describe(t.info) }
func (t *imageFile) identity(context.Context) string { return volume.Identity(t.info) }

func (t *imageFile) scan(ctx context.Context, s *Scanner, r *Result) error {
	return t.patiently(ctx, s, r, func(ctx context.Context, on onVolume, r *Result) error {
		file, err := on.root.Open(on.path)
		if err != nil {
			return err
		}
		defer file.Close()
		return on.read(ctx, s, r, file, opened{})
	})
}

// read scans what was opened.
func (o onVolume) read(ctx context.Context, s *Scanner, r *Result, file *volume.File, as opened) error {
	r.Report.Target = o.describe(file.Info())
	img, err := rootfs.OpenOn(onStorage{ctx, o.root}, file.Descriptor())
	if err != nil {
		return err
	}
	defer img.Close()
	describe(&r.Report, img.Info())
	as.Image = img
	if file.Info().Kind != volume.Regular {
		as.directory = func() (string, error) { return directoryOf(file) }
	}
	err = s.read(ctx, as, r)
	if !file.Unchanged() {
		return &rootfs.Error{Reason: rootfs.ReasonChanging, Message: "the image was modified while it was read"}
	}
	if id := volume.Identity(file.Info()); err == nil && id != "" {
		r.Identity = id + ":" + s.settings()
	}
	return err
}

// directory is scanned as it is.
type directory struct {
	onVolume
	info volume.Info
	kind DirectoryKind
}

func (t *directory) about() v1alpha1.ReportTarget    { return t.describe(t.info) }
func (t *directory) identity(context.Context) string { return "" } // that of a directory says nothing of the files in it

func (t *directory) scan(ctx context.Context, s *Scanner, r *Result) error {
	err := t.patiently(ctx, s, r, func(ctx context.Context, on onVolume, r *Result) error {
		file, err := on.root.OpenDirectory(on.path)
		if err != nil {
			return err
		}
		defer file.Close()
		return on.read(ctx, s, r, file, opened{repository: t.kind == KindRepository})
	})
	if t.kind == KindRepository {
		r.Report.Target.Kind = string(KindRepository)
	}
	return err
}

// directoryOf is the path of a directory that is open. An engine is given a path: what it leads to must be what was opened.
func directoryOf(file *volume.File) (string, error) {
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", file.Descriptor().Fd()))
	if err != nil {
		return "", err
	}
	opened, err := file.Descriptor().Stat()
	if err != nil {
		return "", err
	}
	named, err := os.Lstat(path)
	if err != nil || !os.SameFile(opened, named) {
		return "", &rootfs.Error{Reason: rootfs.ReasonChanging, Message: "the directory was moved while it was read"}
	}
	return path, nil
}

var errTimeout = errors.New("the image's time is up")
