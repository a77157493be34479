// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/plan"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// Share is the part of a run that one of several workers takes.
type Share struct {
	// Workers is their number, Index which this one is, from 0.
	Workers, Index int
	List           List
}

// List keeps what a run scans. The same list is given to every worker, and to every pod that takes
// over from one.
type List interface {
	// Plan returns the frozen list; false where there is none yet.
	Plan() (items []plan.Item, ok bool, err error)
	// Freeze offers a list and returns the frozen one.
	Freeze(ctx context.Context, items []plan.Item) ([]plan.Item, error)
}

// RunShare is Run for one of several workers. The first finds what is wanted if nobody did before.
func (s *Scanner) RunShare(ctx context.Context, wanted Wanted, known *handover.Knowledge, sink Sink, share Share) (Verdict, error) {
	items, frozen, err := share.List.Plan()
	switch {
	case err != nil:
		return Verdict{}, err
	case !frozen && share.Index > 0:
		return Verdict{}, fmt.Errorf("worker %d began before there was a list of targets", share.Index)
	case !frozen:
		if items, err = s.freeze(ctx, wanted, share.List); err != nil {
			return Verdict{}, err
		}
	}
	// Until here one worker searched and the others waited: it had all of the scan's pace.
	for _, v := range wanted.Volumes {
		v.Root.Pace().Share(share.Workers)
	}
	found, err := s.planned(wanted, plan.Share(items, share.Workers, share.Index))
	if err != nil {
		return Verdict{}, err
	}
	found.empty, found.nothing = nothing(items)
	s.Log.Info("shared", "worker", share.Index, "of", share.Workers, "targets", len(found.targets), "failures", len(found.failures), "all", len(items))
	return s.run(ctx, found, known, sink)
}

// freeze makes the list.
func (s *Scanner) freeze(ctx context.Context, wanted Wanted, list List) ([]plan.Item, error) {
	found, err := s.find(ctx, wanted)
	if err != nil {
		return nil, err
	}
	items, err := found.items()
	if err != nil {
		return nil, err
	}
	return list.Freeze(ctx, items)
}

// items are what was found as it is stored.
func (f *found) items() ([]plan.Item, error) {
	items := make([]plan.Item, 0, len(f.targets)+len(f.failures)+1)
	for _, t := range f.targets {
		at := t.place()
		i := plan.Item{Volume: at.Volume, Path: at.Path}
		switch t := t.(type) {
		case *imageFile:
			i.Kind, i.Size = plan.Image, t.info.Size
		case *directory:
			i.Kind = plan.Directory
		case *registryImage:
			i.Kind = plan.Reference
		default:
			return nil, fmt.Errorf("%s cannot be shared between workers", at.Name)
		}
		items = append(items, i)
	}
	const most = 1024 // characters of a message, which are the agent's own and name a few paths
	for _, e := range f.failures {
		items = append(items, plan.Item{Kind: plan.Failure, Volume: e.Volume, Path: e.Path, Reason: e.reason, Message: printable.Truncate(e.message, most)})
	}
	if f.empty {
		items = append(items, plan.Item{Kind: plan.Nothing, Message: printable.Truncate(f.nothing, most)})
	}
	return items, nil
}

// nothing reports whether the list has no target, and why.
func nothing(items []plan.Item) (empty bool, why string) {
	for _, i := range items {
		if i.Kind == plan.Nothing {
			return true, i.Message
		}
	}
	return false, ""
}

// planned makes targets of what is stored.
func (s *Scanner) planned(wanted Wanted, items []plan.Item) (f found, err error) {
	for _, i := range items {
		on := onVolume{index: i.Volume, several: len(wanted.Volumes) > 1, path: i.Path}
		if i.Volume >= 0 && i.Volume < len(wanted.Volumes) {
			on.root = wanted.Volumes[i.Volume].Root
		} else if i.Volume != handover.NoVolume || i.Kind == plan.Image || i.Kind == plan.Directory {
			return f, fmt.Errorf("the list of targets names volume %d, and there are %d", i.Volume, len(wanted.Volumes))
		}
		switch i.Kind {
		case plan.Image:
			f.targets = append(f.targets, &plannedImage{imageFile: imageFile{onVolume: on}})
		case plan.Directory:
			f.targets = append(f.targets, &directory{onVolume: on, kind: wanted.Volumes[i.Volume].Kind})
		case plan.Reference:
			f.targets = append(f.targets, &registryImage{reference: i.Path, client: s.Registry})
		case plan.Failure:
			f.failures = append(f.failures, plannedFailure(on, i))
		default:
			return f, fmt.Errorf("the list of targets has a line of the unknown kind %.40q: the pods of this run have different versions", i.Kind)
		}
	}
	return f, nil
}

func plannedFailure(on onVolume, i plan.Item) failure {
	if i.Volume == handover.NoVolume {
		name := printable.Escape(i.Path)
		return failure{
			Place:  Place{Volume: handover.NoVolume, Path: i.Path, Name: name},
			about:  v1alpha1.ReportTarget{Kind: kindFile, Path: name},
			reason: i.Reason, message: i.Message,
		}
	}
	return failure{Place: on.place(), about: on.describe(volume.Info{}), reason: i.Reason, message: i.Message}
}

// plannedImage is an image of a frozen list. What the file system says of it is asked when its turn
// has come: the list may be a day old, and "unchanged" is said of the file as it is.
type plannedImage struct {
	imageFile
	// silent is why it is not asked any more.
	silent error
}

func (t *plannedImage) identity(ctx context.Context) string {
	if !t.look(ctx) {
		return ""
	}
	return t.imageFile.identity(ctx)
}

func (t *plannedImage) about() v1alpha1.ReportTarget {
	t.look(context.Background())
	return t.imageFile.about()
}

func (t *plannedImage) scan(ctx context.Context, s *Scanner, r *Result) error {
	if t.silent != nil {
		return t.silent
	}
	return t.imageFile.scan(ctx, s, r)
}

// look asks the file system. Where it refuses, the scan will say why.
func (t *plannedImage) look(ctx context.Context) bool {
	if t.silent != nil {
		return false
	}
	info, err := answered(ctx, t.root, func(_ context.Context, root *volume.Root) (volume.Info, error) { return root.Stat(t.path) })
	if errors.As(err, new(*silentError)) {
		t.silent = err
	}
	if err != nil {
		return false
	}
	t.info = info
	return true
}
