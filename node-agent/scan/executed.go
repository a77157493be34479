// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/execution"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
)

// Tmp is where images are extracted for engines that need a directory, and where those write.
type Tmp struct {
	// Dir must exist.
	Dir string
	// Limit in bytes of disk, for the extracted image and the engine together; 0: what the file system has.
	Limit int64
	// Program is what the engine's unpacked program takes of it, once for all images.
	Program int64
}

// room is what one image may take, with what the engine writes for it; 0: what the file system has.
func (t Tmp) room() int64 {
	if t.Limit == 0 {
		return 0
	}
	return t.Limit - t.Program
}

// What an engine needs beside the image, for its cache and results: with leastTmp it may begin, goodTmp is what it is told to
// be given.
const (
	leastTmp = 1 << 20
	goodTmp  = 64 << 20
)

// provide gives an executed engine its directory and its budget, and returns what takes them away again.
func (s *Scanner) provide(ctx context.Context, e engine.Executed, img opened, t *engine.Target) (release func(), err error) {
	if err := e.Ready(ctx); err != nil {
		return nil, err
	}
	if e.NeedsDirectory() && img.directory == nil {
		if err := s.fits(ctx, img); err != nil {
			return nil, err
		}
	}
	release = func() {}
	if img.work == "" {
		if img.work, release, err = s.workspace(); err != nil {
			return nil, err
		}
	}
	t.Budget = engine.Budget{
		Dir: img.work, Tmp: s.Tmp.room(), Memory: execution.MemoryBudget(img.work, s.Tmp.Limit), CPUs: runtime.GOMAXPROCS(0),
		TmpLimit: s.Tmp.Limit, MemoryLimit: execution.MemoryLimit(), SetBy: s.SetBy,
	}
	if e.NeedsDirectory() {
		if err := s.extract(ctx, img, t); err != nil {
			release()
			return nil, err
		}
	}
	return release, nil
}

// workspace makes a directory for one scan.
func (s *Scanner) workspace() (dir string, release func(), err error) {
	w, err := execution.NewWorkspace(s.Tmp.Dir)
	if err != nil {
		return "", nil, err
	}
	return w.Dir, func() {
		if err := w.Remove(); err != nil {
			s.Log.Error(err, "what a scan wrote could not be removed", "directory", w.Dir)
		}
	}, nil
}

// extract makes the directory that the engine reads, or finds that the image is one.
func (s *Scanner) extract(ctx context.Context, img opened, t *engine.Target) (err error) {
	if img.directory != nil {
		if t.Directory, err = img.directory(); err != nil {
			return err
		}
		return s.leave(t, img.spent)
	}
	t.Directory = filepath.Join(t.Budget.Dir, "rootfs")
	sizes, err := img.Extract(ctx, t.Directory, rootfs.ExtractOptions{Limit: s.Tmp.room()})
	if err != nil {
		return err
	}
	return s.leave(t, sizes.Disk)
}

// fits refuses an image that leaves the engine no room, before anything is written.
func (s *Scanner) fits(ctx context.Context, img opened) error {
	if s.Tmp.Limit == 0 {
		return nil
	}
	sizes, err := img.Sizes(ctx)
	if err != nil {
		return err
	}
	return s.leave(&engine.Target{}, sizes.Disk)
}

// leave leaves the engine what an image of so many bytes does not take.
func (s *Scanner) leave(t *engine.Target, spent int64) error {
	if s.Tmp.Limit == 0 {
		return nil
	}
	if t.Budget.Tmp = s.Tmp.room() - spent; t.Budget.Tmp < leastTmp {
		return &rootfs.Error{Reason: rootfs.ReasonTmpTooSmall, Message: fmt.Sprintf(
			"the image takes %s extracted and leaves the engine no room within %s: %s to at least %s",
			mebibytes(spent), mebibytes(s.Tmp.Limit), s.SetBy.RaiseTmp(), mebibytes(spent+s.Tmp.Program+goodTmp))}
	}
	return nil
}

// mebibytes prints a size as Kubernetes does, rounded up.
func mebibytes(n int64) string { return fmt.Sprintf("%dMi", (n+1<<20-1)>>20) }

// scanWith runs an engine that is executed, and tells whether the directory it read is still the one that was opened.
func (s *Scanner) scanWith(ctx context.Context, e engine.Executed, img opened, t engine.Target) (*engine.Result, error) {
	release, err := s.provide(ctx, e, img, &t)
	if err != nil {
		return nil, err
	}
	defer release()
	found, err := e.Scan(ctx, t)
	if img.directory != nil {
		if _, moved := img.directory(); moved != nil {
			return nil, errors.Join(moved, err)
		}
	}
	return found, err
}

// judged takes over the verdict of the engine's own policy. It is no failure of the image.
func (r *Result) judged(verdict string) {
	r.Policy = verdict
	switch verdict {
	case v1alpha1.ReasonPolicyDenied:
		r.Report.Outcome.Message = "the platform's policy denies this image"
	case v1alpha1.ReasonPolicyAudit:
		r.Report.Outcome.Message = "the platform's policy asks for an audit of this image"
	}
}
