// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/node-agent/process"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
)

// openerReasons are the reasons that go with why something was not handed out.
var openerReasons = map[opener.Code]string{
	opener.Vanished: v1alpha1.ReasonNoTargets,
	opener.Denied:   v1alpha1.ReasonPermissionDenied,
	opener.Policy:   v1alpha1.ReasonPermissionDenied,
	opener.Silent:   v1alpha1.ReasonBackendUnreachable,
	opener.Missing:  v1alpha1.ReasonPermissionDenied,
	opener.Failed:   v1alpha1.ReasonEngineFailed,
}

// liveError is why a live container's content was not, or not all, read.
type liveError struct {
	coverage string
	error
}

func (e *liveError) Unwrap() error { return e.error }

// unread gives an error its coverage: nothing of the container was read.
func unread(err error) error {
	coverage := v1alpha1.CoverageUnreachable
	if vanished(err) {
		coverage = v1alpha1.CoverageVanished
	}
	return &liveError{coverage, err}
}

// vanished tells errors that say that a container ended.
func vanished(err error) bool {
	var image *rootfs.Error
	var handed *opener.Error
	return errors.As(err, &image) && image.Reason == rootfs.ReasonVanished || errors.As(err, &handed) && handed.Code == opener.Vanished
}

// maxTries is how many ranks are tried while one after the other ends.
const maxTries = 8

// grace is how long a scan may go on after its time is up. Longer goes on only what waits for a file system. Tests wait less.
var grace = 10 * time.Second

// scan reads the image, and does not wait for a file system that never answers: a user can serve one, and no system call
// on it ends before he likes.
func (t *liveImage) scan(ctx context.Context, s *Scanner, r *Result) error {
	r.Report.RunningExamples = t.examples(r.Report.ObservedAt)
	own, reading := *r, *t // what is waited for no more must not be written to
	done := make(chan error, 1)
	go func() { done <- s.guard(&own, func() error { return reading.read(ctx, s, &own) }) }()
	var late <-chan time.Time
	ended := ctx.Done()
	for {
		select {
		case err := <-done:
			*r, t.layer = own, reading.layer
			return err
		case <-ended:
			ended, late = nil, time.After(grace)
		case <-late:
			return unread(&opener.Error{Code: opener.Silent, Message: "the file system of the container does not answer"})
		}
	}
}

// read reads the image once, from the first of its containers that is still there.
func (t *liveImage) read(ctx context.Context, s *Scanner, r *Result) error {
	var err error
	tries := 0
	for _, g := range t.groups {
		for i := range g.members {
			if tries++; tries > maxTries {
				return err
			}
			if err = t.scanOne(ctx, s, r, &g.members[i]); err == nil || !vanished(err) || ctx.Err() != nil {
				return err
			}
		}
	}
	return err
}

// scanOne reads the image that a container's starter holds open; what that does not show, from the container's root.
func (t *liveImage) scanOne(ctx context.Context, s *Scanner, r *Result, c *opener.Container) error {
	file, err := t.from.Opener.Take(ctx, c.ID, opener.TheImage)
	if err != nil {
		if vanished(err) {
			return unread(err)
		}
		if root := t.scanRoot(ctx, s, r, c); !onlyRefused(root) {
			return root
		}
		return unread(err)
	}
	defer file.Close()
	img, err := openHeld(ctx, file)
	if err != nil {
		return err
	}
	describe(&r.Report, img.Info())
	_, unreadable := img.FS(ctx)
	var e *rootfs.Error
	if errors.As(unreadable, &e) && e.Reason == rootfs.ReasonUnsupported || unreadable == nil && img.Incomplete() != nil {
		// Encrypted, ext3, or with an overlay of its own: the running container shows all of it.
		if root := t.scanRoot(ctx, s, r, c); !onlyRefused(root) {
			return root
		}
	}
	err = s.read(ctx, opened{Image: img}, r)
	if t.changed(file) {
		message := "the image was modified while it was read"
		if c.Writable && unreadable == nil && img.Incomplete() != nil {
			message += ": a container that was started with --writable writes into it, and only its root, which the scan's user may not read, shows all of that"
		}
		return &rootfs.Error{Reason: rootfs.ReasonChanging, Message: message}
	}
	return t.conclude(s, r, c, err, 0)
}

// onlyRefused tells that a root could not be opened, so that what the image itself says is better.
func onlyRefused(err error) bool {
	var live *liveError
	return errors.As(err, &live) && live.coverage == v1alpha1.CoverageUnreachable
}

// requestsPerSecond bounds how fast a container's root is walked. Where a process of the user serves its file system, each
// access costs that process time: 9 µs with squashfuse (10,205 accesses, 87 ms), so that a walk takes 2 % of one processor.
const requestsPerSecond = 2000

// scanRoot walks the root of a running container.
func (t *liveImage) scanRoot(ctx context.Context, s *Scanner, r *Result, c *opener.Container) error {
	dir, err := t.from.Opener.Take(ctx, c.ID, opener.TheRoot)
	if err != nil {
		return unread(err)
	}
	defer dir.Close()
	slow := rate.NewLimiter(requestsPerSecond, requestsPerSecond/10)
	img, err := rootfs.OpenLive(dir, func() { _ = slow.Wait(ctx) }) // the end of ctx ends the scan, too
	if err != nil {
		return unread(err)
	}
	defer img.Close()
	if r.Report.Image == nil {
		describe(&r.Report, img.Info())
		owned(&r.Report.Target, dir)
	}
	as := opened{Image: img}
	if e, ok := s.Engine.(engine.Executed); ok && e.NeedsDirectory() {
		release, err := s.copied(ctx, &as)
		if err != nil {
			return err
		}
		defer release()
	}
	if err = s.read(ctx, as, r); err == nil {
		t.layer = c.ID
	}
	return t.conclude(s, r, c, err, img.Denied())
}

// owned says whose a sandbox is: nothing told before its directory was opened.
func owned(t *v1alpha1.ReportTarget, dir *os.File) {
	var st unix.Stat_t
	if unix.Fstat(int(dir.Fd()), &st) == nil {
		t.UID, t.GID, t.Mode = int64(st.Uid), int64(st.Gid), fmt.Sprintf("%04o", st.Mode&^unix.S_IFMT)
	}
}

// conclude says how much of a container was read, and identifies what was.
func (t *liveImage) conclude(s *Scanner, r *Result, c *opener.Container, err error, denied int64) error {
	if err != nil {
		if vanished(err) {
			return &liveError{v1alpha1.CoverageVanished, err}
		}
		return err
	}
	if denied > 0 {
		r.partial(fmt.Sprintf("%d accesses to the container's files were denied to the scan's user", denied))
	}
	r.content = r.Report.Outcome.Coverage
	for _, g := range t.groups {
		if g.layers(t.layer) && c.Source != process.FromDirectory {
			r.partial("what containers wrote into their own layers over the image was not read")
			break
		}
	}
	if id := t.identity(context.Background()); id != "" {
		r.Identity = id + ":" + s.settings()
	}
	return nil
}

// partial adds to the message what was not read.
func (r *Result) partial(what string) {
	o := &r.Report.Outcome
	o.Coverage = v1alpha1.CoveragePartial
	o.Message = strings.TrimPrefix(o.Message+"; "+what, "; ")
}

// changed tells whether the image was written to since it was listed.
func (t *liveImage) changed(file *os.File) bool {
	var now unix.Stat_t
	if !t.image.Known || unix.Fstat(int(file.Fd()), &now) != nil {
		return false
	}
	return now.Size != t.image.Size || now.Mtim.Nano() != t.image.ModTime || now.Ctim.Nano() != t.image.ChangeTime
}
