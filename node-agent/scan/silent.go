// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"fmt"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// volumePatience is how long a volume may leave every call unanswered. An NFS client says after three minutes that its server
// does not respond (timeo=600,retrans=2), and goes on for ever; a server that fails over is back by then. Tests wait less.
var volumePatience = 5 * time.Minute

// maxSilent images in a row that a volume never answered for end a run: the volume is away, and each of ten thousand images
// would wait for it. Another pod goes on.
const maxSilent = 3

// silentError tells that a volume did not answer.
type silentError struct{ err *volume.Error }

func (e *silentError) Error() string { return e.err.Error() }
func (e *silentError) Unwrap() error { return e.err }

func silentVolume() error {
	return &silentError{&volume.Error{Reason: v1alpha1.ReasonBackendUnreachable, Message: fmt.Sprintf(
		"the volume has answered nothing for %s: is its file server reachable from the node, and well?", volumePatience)}}
}

// answered runs a call on a volume, and waits no longer for it when the volume does not answer. The call is then still there, and
// so is its thread: nothing ends it but the end of the process.
func answered[T any](ctx context.Context, root *volume.Root, call func(context.Context, *volume.Root) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched, watch := root.Watched()
	answers := make(chan answer, 1)
	go func() {
		value, err := call(ctx, watched)
		answers <- answer{value, err}
	}()
	silent, ended := watch.Silent(ctx, volumePatience), ctx.Done()
	var late <-chan time.Time
	var none T
	for {
		select {
		case a := <-answers:
			return a.value, a.err
		case <-silent:
			return none, silentVolume()
		case <-ended:
			ended, late = nil, time.After(grace)
		case <-late:
			if watch.Waits() {
				return none, silentVolume()
			}
			return none, context.Cause(ctx)
		}
	}
}

// patiently reads an image on a volume into r, which nothing writes to any more once this returns.
func (o onVolume) patiently(ctx context.Context, s *Scanner, r *Result, read func(context.Context, onVolume, *Result) error) error {
	before := *r
	own, err := answered(ctx, o.root, func(ctx context.Context, root *volume.Root) (*Result, error) {
		own, on := before, o
		on.root = root
		err := s.guard(&own, func() error { return read(ctx, on, &own) })
		return &own, err
	})
	if own != nil {
		*r = *own
	}
	return err
}

// OpenVolume is volume.OpenRoot of a volume that may not answer.
func OpenVolume(ctx context.Context, dir, mountPath string) (*volume.Root, error) {
	type answer struct {
		root *volume.Root
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		root, err := volume.OpenRoot(dir, mountPath)
		answers <- answer{root, err}
	}()
	select {
	case a := <-answers:
		return a.root, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(volumePatience):
		return nil, silentVolume()
	}
}

// answering ends the run where a volume is away.
func (r *run) answering(result *Result) error {
	if !result.silent {
		r.silent = 0
		return nil
	}
	if r.silent++; r.silent < maxSilent {
		return nil
	}
	return silentVolume()
}

// onStorage is what an image on a volume asks of it: at the volume's pace, and watched.
type onStorage struct {
	ctx  context.Context
	root *volume.Root
}

// Ask waits for the turn. Where ctx ends nothing waits any more: the scan ends, too.
func (s onStorage) Ask(bytes int) {
	if bytes > 0 {
		_ = s.root.Pace().Read(s.ctx, bytes)
	} else {
		_ = s.root.Pace().Request(s.ctx)
	}
	s.root.Watch().Ask()
}

// Answered notes that the volume is there.
func (s onStorage) Answered() { s.root.Watch().Answer() }
