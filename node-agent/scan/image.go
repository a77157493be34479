// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scan runs an engine over images and hands over what it found: to folders for a
// person at a login node, or to the reporter of a scan pod. Both go the same way.
package scan

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// Scanner scans one image after the other with one engine.
type Scanner struct {
	Engine engine.Engine
	// EngineVersion is part of an image's identity: another version may find other packages.
	EngineVersion string
	// Database is the digest of the database that the engine matches packages with; empty: none.
	// It is part of an image's identity too.
	Database string
	// Settings returns what else decides what the engine finds; nil: nothing.
	Settings func(now time.Time) []string
	// Types says what to look for; empty: packages.
	Types []engine.ScanType
	// ExcludeDirs are directories of every image that are not entered.
	ExcludeDirs []string
	// Formats of the documents to make.
	Formats []engine.Format
	// Tmp is needed by engines that are executed.
	Tmp Tmp
	// Timeout of one image. Zero: none.
	Timeout time.Duration
	// Now is the clock.
	Now func() time.Time
	Log logr.Logger
}

// Result is what came of one image. There always is one: a failure is a result with a reason.
type Result struct {
	// Path relative to the volume, raw bytes.
	Path      string
	Outcome   v1alpha1.EntryOutcome
	Report    v1alpha1.Report
	Documents map[string][]byte
	// Counted is what all findings come to, listed or not; nil where nothing was matched.
	Counted *report.Counted
	// Types are the scan types, which are part of the report's name.
	Types []string
	// Policy is the verdict of the engine's own policy, as in engine.Result.
	Policy string
	// Identity of the file when it was scanned; empty unless the outcome is scanned.
	Identity string
}

// Image scans the image at path on a volume.
func (s *Scanner) Image(ctx context.Context, root *volume.Root, t volume.Target) *Result {
	start := s.Now()
	r := s.newResult(root, t.Path, t.Info, start)
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.Timeout, errTimeout)
		defer cancel()
	}
	err := s.open(ctx, root, t, r)
	r.Report.Scanner.Duration = &metav1.Duration{Duration: s.Now().Sub(start).Round(time.Millisecond)}
	if err != nil {
		r.fail(ctx, err, s.Timeout)
	}
	return r
}

// Failure is the result of a target that could not be opened.
func (s *Scanner) Failure(root *volume.Root, path string, info volume.Info, reason, message string) *Result {
	r := s.newResult(root, path, info, s.Now())
	r.set(reason, message)
	return r
}

var errTimeout = errors.New("the image's time is up")

func (s *Scanner) newResult(root *volume.Root, path string, info volume.Info, now time.Time) *Result {
	return &Result{
		Path:    path,
		Outcome: v1alpha1.EntryScanned,
		Types:   s.ScanTypes(),
		Report: v1alpha1.Report{
			Target:     targetOf(root.UserPath(path), info),
			Scanner:    v1alpha1.ReportScanner{Engine: s.Engine.Name(), Version: s.EngineVersion},
			ObservedAt: metav1.NewTime(now),
		},
	}
}

// open scans the image into r. A panic while hostile content is parsed fails this image alone.
func (s *Scanner) open(ctx context.Context, root *volume.Root, t volume.Target, r *Result) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error(nil, "panic while an image was read", "path", r.Report.Target.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = &engine.Error{Reason: v1alpha1.ReasonEngineFailed, Message: "the agent has a defect that this image brings out; please report it with the agent's log"}
		}
	}()
	file, err := root.Open(t.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	r.Report.Target = targetOf(root.UserPath(t.Path), file.Info())

	img, err := rootfs.OpenFile(file.Descriptor())
	if err != nil {
		return err
	}
	defer img.Close()
	describe(&r.Report, img.Info())
	err = s.read(ctx, img, file, r)
	r.Report.Scanner.BytesRead = img.BytesRead()
	if !file.Unchanged() {
		return &rootfs.Error{Reason: rootfs.ReasonChanging, Message: "the image was modified while it was read"}
	}
	if id := volume.Identity(file.Info()); err == nil && id != "" {
		r.Identity = id + ":" + s.settings()
	}
	return err
}

// read runs the engine over the image's root file system.
func (s *Scanner) read(ctx context.Context, img *rootfs.Image, file *volume.File, r *Result) error {
	fsys, err := img.FS(ctx)
	if err != nil {
		return err
	}
	target := engine.Target{
		Root:         fsys,
		DisplayName:  r.Report.Target.Path,
		Architecture: img.Info().Architecture,
		ScanTypes:    s.Types,
		ExcludeDirs:  s.ExcludeDirs,
		Formats:      s.Formats,
		CreatedAt:    r.Report.ObservedAt.Time,
	}
	var found *engine.Result
	if executed, ok := s.Engine.(engine.Executed); ok {
		found, err = s.scanWith(ctx, executed, img, file, target)
	} else {
		found, err = s.Engine.Scan(ctx, target)
	}
	if found != nil {
		r.found(found)
	}
	if err != nil {
		// A broken image explains why its engine failed better than the engine can.
		if defect := fsys.Err(); defect != nil && ctx.Err() == nil {
			return defect
		}
		return err
	}
	if err := fsys.Err(); err != nil {
		return err
	}
	return img.Incomplete()
}

// settings are what besides the file decides what a scan finds.
func (s *Scanner) settings() string {
	asked := []string{"types=" + strings.Join(s.ScanTypes(), ","), "exclude=" + strings.Join(s.ExcludeDirs, ",")}
	if s.Settings != nil {
		asked = append(asked, s.Settings(s.Now())...)
	}
	for _, f := range s.Formats {
		asked = append(asked, string(f))
	}
	return settings(s.Engine.Name(), s.EngineVersion, s.Database, asked)
}
