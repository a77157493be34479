// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// Wanted is what a run is to scan.
type Wanted struct {
	// Volumes in the order of handover.Knowledge.Volumes.
	Volumes []Volume
	// Images are references to images in registries.
	Images []string
	// Misplaced are lines of a list that cannot be followed.
	Misplaced []Misplaced
	// Live are containers of this node; nil: none are wanted.
	Live *Live
}

// Volume is a volume and what is wanted of it.
type Volume struct {
	Root *volume.Root
	// Spec finds images; nil: none.
	Spec *volume.Spec
	// Directories are scanned as they are, whatever they hold; paths relative to the volume.
	Directories []string
	// Kind of the Directories.
	Kind DirectoryKind
}

// DirectoryKind says what a directory's files are.
type DirectoryKind string

// The kinds of directories.
const (
	// KindRootfs is a root file system: its packages are installed.
	KindRootfs DirectoryKind = "rootfs"
	// KindRepository is source code: its packages are what lock files name.
	KindRepository DirectoryKind = "repo"
)

// Misplaced is a line of a list that cannot be followed, and why.
type Misplaced struct {
	// Line is what was written, raw bytes.
	Line    string
	Message string
}

// found is what a run will give an outcome to.
type found struct {
	targets  []target
	failures []failure
	// empty: the run has no target at all, and nothing explains to the user why.
	empty           bool
	reason, nothing string
	// groups of live containers, and the targets among them by name.
	groups []*Group
	live   map[string]*liveImage
}

// failure is something wanted that is no target.
type failure struct {
	Place
	about           v1alpha1.ReportTarget
	reason, message string
}

// find looks for what is wanted. The error is about the run.
func (s *Scanner) find(ctx context.Context, wanted Wanted) (found, error) {
	var f found
	several := len(wanted.Volumes) > 1
	for i, v := range wanted.Volumes {
		on := onVolume{root: v.Root, index: i, several: several}
		if v.Spec != nil {
			if err := s.findImages(ctx, on, *v.Spec, &f); err != nil {
				return f, err
			}
		}
		for _, dir := range v.Directories {
			if err := s.findDirectory(ctx, on, dir, v.Kind, &f); err != nil {
				return f, err
			}
		}
	}
	for _, reference := range wanted.Images {
		f.targets = append(f.targets, &registryImage{reference: reference, client: s.Registry})
	}
	for _, m := range wanted.Misplaced {
		name := printable.Escape(m.Line)
		f.fail(failure{
			Place:  Place{Volume: handover.NoVolume, Path: m.Line, Name: name},
			about:  v1alpha1.ReportTarget{Kind: kindFile, Path: name},
			reason: v1alpha1.ReasonNoTargets, message: m.Message,
		})
	}
	f.empty = len(f.targets) == 0
	if wanted.Live != nil {
		f.findLive(wanted.Live)
	}
	return f, nil
}

func (f *found) fail(what failure) {
	f.failures = append(f.failures, what)
	if f.nothing == "" {
		f.nothing = what.Name + ": " + what.message
	}
}

// findImages searches a volume.
func (s *Scanner) findImages(ctx context.Context, on onVolume, spec volume.Spec, f *found) error {
	seen, err := answered(ctx, on.root, func(ctx context.Context, root *volume.Root) (volume.Found, error) {
		return volume.Discover(ctx, root, spec)
	})
	var none *volume.Error
	switch {
	case err == nil:
	case errors.As(err, &none) && none.Reason == volume.ReasonNoTargets:
		if f.nothing == "" {
			f.nothing = none.Message
		}
	default:
		return err
	}
	if err := incomplete(seen); err != nil {
		return err
	}
	s.Log.Info("listed", "volume", on.root.UserPath("."), "targets", len(seen.Targets), "failures", len(seen.Failures),
		"entriesSeen", seen.Entries, "directoriesRead", seen.Directories)
	for _, t := range seen.Targets {
		f.targets = append(f.targets, &imageFile{onVolume: on.at(t.Path), info: t.Info})
	}
	for _, e := range seen.Failures {
		on := on.at(e.Path)
		f.fail(failure{Place: on.place(), about: on.describe(volume.Info{}), reason: e.Reason, message: e.Message})
	}
	return nil
}

// findDirectory takes a directory for a target if it is one.
func (s *Scanner) findDirectory(ctx context.Context, on onVolume, dir string, kind DirectoryKind, f *found) error {
	on = on.at(dir)
	info, err := answered(ctx, on.root, func(_ context.Context, root *volume.Root) (volume.Info, error) {
		file, err := root.OpenDirectory(dir)
		if err != nil {
			return volume.Info{}, err
		}
		defer file.Close()
		return file.Info(), nil
	})
	if errors.As(err, new(*silentError)) {
		return err
	}
	if err != nil {
		reason, message := explain(err)
		f.fail(failure{Place: on.place(), about: on.describe(volume.Info{}), reason: reason, message: message})
		return nil
	}
	f.targets = append(f.targets, &directory{onVolume: on, info: info, kind: kind})
	return nil
}

// incomplete says why a search must not pass for a list of all targets.
func incomplete(found volume.Found) error {
	stopped := found.Stopped
	counted := 0
	for _, n := range found.FailureCounts {
		counted += n
	}
	if stopped == "" && counted > len(found.Failures) {
		stopped = fmt.Sprintf("%d paths cannot be used, and only %d are named", counted, len(found.Failures))
	}
	if stopped == "" {
		return nil
	}
	return &volume.Error{Reason: v1alpha1.ReasonIncomplete, Message: "the search for images ended before its end: " + stopped +
		"; name fewer directories in spec.target.volume.paths, or more in exclude"}
}
