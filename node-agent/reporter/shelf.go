// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/reporter/tree"
)

// shelf is the volume that documents are kept on, with the patience that the reporter has with
// it: findings must reach the API whatever becomes of the volume.
type shelf struct {
	tree *tree.Tree
	// patience with one folder. A file server that is away makes every call on a hard NFS mount wait
	// until it is back.
	patience time.Duration
	// pause before each further try.
	pauses []time.Duration
	// failing: the last try of all failed, and each folder is tried once until one succeeds.
	failing bool
	// gone: a call never returned. The thread that made it cannot be ended, so there are no further ones.
	gone error
	// inventory that was read last. The next one takes its room: once a call did not return, there is none.
	inventory []byte
}

func newShelf(v *Volume, writer string) *shelf {
	return &shelf{
		tree:     tree.New(v.Dir, v.SubPath, writer),
		patience: 2 * time.Minute,
		pauses:   []time.Duration{time.Second, 4 * time.Second},
	}
}

// within calls fn, which works on the shelf's volume, and again if the storage has an error that
// may pass. It waits no longer than the shelf's patience for each call; fn may go on after that.
func within[T any](ctx context.Context, s *shelf, fn func() (T, error)) (T, error) {
	var none T
	for try := 0; ; try++ {
		if s.gone != nil {
			return none, s.gone
		}
		out, err := once(ctx, s, fn)
		if !passing(err) {
			s.failing = s.failing && err != nil
			return out, err
		}
		if s.failing || try == len(s.pauses) {
			s.failing = true
			return none, err
		}
		select {
		case <-time.After(s.pauses[try]):
		case <-ctx.Done():
			return none, err
		}
	}
}

func once[T any](ctx context.Context, s *shelf, fn func() (T, error)) (T, error) {
	type answer struct {
		out T
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		out, err := fn()
		answered <- answer{out, err}
	}()
	patience := time.NewTimer(s.patience)
	defer patience.Stop()
	select {
	case a := <-answered:
		return a.out, a.err
	case <-patience.C:
		s.gone = fmt.Errorf("it did not answer within %s: is its file server away?", s.patience)
	case <-ctx.Done():
		s.gone = context.Cause(ctx)
	}
	var none T
	return none, s.gone
}

// passing says whether the storage may answer otherwise in a moment: a file that the server
// exchanged, a connection that broke, a signal that a FUSE or NFS call did not outlast.
func passing(err error) bool {
	return errors.Is(err, unix.ESTALE) || errors.Is(err, unix.EIO) || errors.Is(err, unix.ETIMEDOUT) || errors.Is(err, unix.EINTR)
}

// reasonOf is what people are told of an error of the volume.
func reasonOf(err error) string {
	var e *tree.Error
	if errors.As(err, &e) {
		return e.Error()
	}
	return printable.Escape(err.Error())
}
