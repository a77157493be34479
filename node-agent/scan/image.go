// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scan runs an engine over images and hands over what it found: to folders for a
// person at a login node, or to the reporter of a scan pod. Both go the same way.
package scan

import (
	"cmp"
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
	"github.com/sifscan/sifscan-operator/node-agent/registry"
	"github.com/sifscan/sifscan-operator/node-agent/report"
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
	// Formats of the documents to make about what is in the image.
	Formats []engine.Format
	// Reports are the documents to make about what was found.
	Reports []report.Format
	// Tmp is needed by engines that are executed, and for images in registries.
	Tmp Tmp
	// SetBy is who set Tmp, and the memory that the scanner may take.
	SetBy engine.Setter
	// Registry is where images come from that are named by reference.
	Registry *registry.Client
	// Policy that images are judged by; nil: none.
	Policy *v1alpha1.Policy
	// Timeout of one image. Zero: none.
	Timeout time.Duration
	// ResultsLimit is what the directory holds that results are handed over in, in bytes. Zero: any number.
	ResultsLimit int64
	// Settle is how long nobody must have written an image before a defect of it is believed: until then it has another turn at
	// the end of the run, and is Changing if it was written since. Zero: every defect is believed at once.
	Settle time.Duration
	// Now is the clock.
	Now func() time.Time
	Log logr.Logger
}

// Result is what came of one image. There always is one: a failure is a result with a reason.
type Result struct {
	Place
	Outcome   v1alpha1.EntryOutcome
	Report    v1alpha1.Report
	Documents map[string][]byte
	// Unchanged names the documents of the last scan that stay as they are.
	Unchanged []string
	// Counted is what all findings come to, listed or not; nil where nothing was matched.
	Counted *report.Counted
	// Types are the scan types, which are part of the report's name.
	Types []string
	// Policy is the verdict of the engine's own policy, as in engine.Result.
	Policy string
	// Judged is the verdict of the scanner's policy; empty without one.
	Judged metav1.ConditionStatus
	// Excess says of what it has more than that allows.
	Excess string
	// Identity of the file when it was scanned; empty unless the outcome is scanned.
	Identity string
	// content is how much of a live image itself was read, whatever layers containers have over it; empty where that is the report's coverage.
	content string
	// silent tells that the volume did not answer.
	silent bool
	// engine is what the engine said, until the documents are made of it.
	engine *engine.Result
}

// scan scans one target.
func (s *Scanner) scan(ctx context.Context, t target) *Result {
	r, _ := s.result(ctx, t, func(ctx context.Context, r *Result) error { return t.scan(ctx, s, r) }) // r says why it failed
	return r
}

// result is what comes of a target that is read into it. An error is also its reason.
func (s *Scanner) result(ctx context.Context, t target, read func(context.Context, *Result) error) (*Result, error) {
	start := s.Now()
	r := s.newResult(t.place(), t.about(), start)
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.Timeout, errTimeout)
		defer cancel()
	}
	err := s.guard(r, func() error { return read(ctx, r) })
	r.Report.Scanner.Duration = &metav1.Duration{Duration: s.Now().Sub(start).Round(time.Millisecond)}
	if err != nil {
		r.fail(ctx, err, s.Timeout)
		r.silent = errors.As(err, new(*silentError))
	}
	broken := s.guard(r, func() error { return r.document(s.Reports) })
	if broken == nil {
		broken = s.bounded(r)
	}
	if broken != nil {
		r.fail(ctx, broken, s.Timeout)
		err = broken
	}
	r.judge(s.Policy)
	return r, err
}

// failed is the result of something that could not be opened.
func (s *Scanner) failed(at Place, about v1alpha1.ReportTarget, reason, message string) *Result {
	r := s.newResult(at, about, s.Now())
	r.set(reason, message)
	return r
}

func (s *Scanner) newResult(at Place, about v1alpha1.ReportTarget, now time.Time) *Result {
	return &Result{
		Place:   at,
		Outcome: v1alpha1.EntryScanned,
		Types:   s.ScanTypes(),
		Report: v1alpha1.Report{
			Target:     about,
			Scanner:    v1alpha1.ReportScanner{Engine: s.Engine.Name(), Version: s.EngineVersion},
			ObservedAt: metav1.NewTime(now),
		},
	}
}

// guard runs a part of a scan. A panic while hostile content is parsed or written fails this target alone.
func (s *Scanner) guard(r *Result, part func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error(nil, "panic while an image was read", "path", r.Report.Target.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = &engine.Error{Reason: v1alpha1.ReasonEngineFailed, Message: "the agent has a defect that this image brings out; please report it with the agent's log"}
		}
	}()
	return part()
}

// read runs the engine over the image's root file system.
func (s *Scanner) read(ctx context.Context, img opened, r *Result) error {
	defer func() { r.Report.Scanner.BytesRead = img.BytesRead() }()
	fsys, err := img.FS(ctx)
	if err != nil {
		return err
	}
	target := s.asked(r, cmp.Or(img.architecture, img.Info().Architecture))
	target.Root, target.Repository = fsys, img.repository
	var found *engine.Result
	if executed, ok := s.Engine.(engine.Executed); ok {
		found, err = s.scanWith(ctx, executed, img, target)
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

// asked is what the engine is asked for.
func (s *Scanner) asked(r *Result, architecture string) engine.Target {
	return engine.Target{
		DisplayName:  r.Report.Target.Path,
		Architecture: architecture,
		ScanTypes:    s.Types,
		ExcludeDirs:  s.ExcludeDirs,
		Formats:      s.Formats,
		CreatedAt:    r.Report.ObservedAt.Time,
	}
}

// settings are what besides the file decides what a scan finds.
func (s *Scanner) settings() string {
	asked := []string{"types=" + strings.Join(s.ScanTypes(), ","), "exclude=" + strings.Join(s.ExcludeDirs, ",")}
	if s.Settings != nil {
		asked = append(asked, s.Settings(s.Now())...)
	}
	var documents []string
	for _, f := range s.Formats {
		documents = append(documents, string(f))
	}
	for _, f := range s.Reports {
		documents = append(documents, "+"+string(f))
	}
	return settings(s.Engine.Name(), s.EngineVersion, s.Database, asked, documents)
}
