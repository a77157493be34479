// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/registry"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/rootfs"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// kindFile is the kind of a target that was not recognised as an image.
const kindFile = "file"

// targetOf describes the file at the path that users know.
func targetOf(userPath string, info volume.Info) v1alpha1.ReportTarget {
	t := v1alpha1.ReportTarget{
		Kind:      kindFile,
		Path:      printable.Escape(path.Clean(userPath)),
		SizeBytes: info.Size,
		UID:       int64(info.UID),
		GID:       int64(info.GID),
	}
	if info.ModTime != 0 {
		t.ModTime = &metav1.Time{Time: time.Unix(0, info.ModTime).UTC()}
		t.Mode = fmt.Sprintf("%04o", info.Mode)
	}
	return t
}

// describe takes over what the image says of itself.
func describe(r *v1alpha1.Report, info rootfs.Info) {
	r.Target.Kind = info.Format
	r.Target.Architecture = info.Architecture
	img := &v1alpha1.ReportImage{Format: info.Format, Compression: info.Compression}
	for _, p := range info.Partitions {
		img.Partitions = append(img.Partitions, fmt.Sprintf("%s %s %d bytes", p.Type, p.FileSystem, p.SizeBytes))
	}
	for _, s := range info.Signatures {
		img.Signatures = append(img.Signatures, strings.TrimSpace(s.Fingerprint+" "+s.Signs))
	}
	img.Labels = escaped(info.Labels)
	r.Image = img
}

// escaped labels are safe to print; nil where there are none.
func escaped(labels map[string]string) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	out := make(map[string]string, len(labels))
	for k, v := range labels {
		out[printable.Escape(k)] = printable.Escape(v)
	}
	return out
}

// found takes over what the engine found. What it could not read makes the coverage partial.
func (r *Result) found(f *engine.Result) {
	r.Documents, r.Unchanged, r.engine = f.Documents, f.Unchanged, f
	r.Report.Scanner.Version = f.EngineVersion
	if f.OS.Known() {
		r.Report.OS = &v1alpha1.ReportOS{Family: f.OS.Family, Version: f.OS.Version, Name: f.OS.Name}
	}
	r.Report.Summary = &v1alpha1.Summary{Packages: int32(engine.Distinct(f.Packages)), NotAssessed: int32(f.NotAssessed)}
	if f.Assessed() {
		r.matched(f)
	}
	if f.Secrets != nil {
		r.Report.Summary.Secrets = ptr.To(int32(len(f.Secrets)))
		r.Report.Findings = append(r.Report.Findings, report.Secrets(f.Secrets, r.Report.ObservedAt)...)
	}
	if db := f.Database; db != nil {
		r.Report.Scanner.Database = &v1alpha1.ReportDatabase{Digest: db.Digest}
		if !db.UpdatedAt.IsZero() {
			r.Report.Scanner.Database.UpdatedAt = &metav1.Time{Time: db.UpdatedAt.UTC()}
		}
	}
	r.Report.Outcome = v1alpha1.Outcome{Coverage: v1alpha1.CoverageComplete}
	if n := len(f.Warnings) + f.DroppedWarnings; n > 0 {
		r.Report.Outcome.Coverage = v1alpha1.CoveragePartial
		first, what := f.Warnings[0], "1 part of the image was not assessed: "
		if n > 1 {
			what = fmt.Sprintf("%d parts of the image were not assessed, first: ", n)
		}
		if first.Path != "" {
			what += first.Path + ": "
		}
		r.Report.Outcome.Message = what + first.Message
	}
	r.judged(f.Policy)
}

// matched takes over the findings. Severities are counted only here: without a database they
// stay absent, for what was not assessed is not zero.
func (r *Result) matched(f *engine.Result) {
	counted := report.Count(f.Findings)
	counted.Into(r.Report.Summary)
	r.Counted = &counted
	r.Report.Findings, r.Report.Truncated = report.Findings(f.Findings, engine.ScanPackages, r.Report.ObservedAt)
}

// fail gives the result the reason of err. What was found before it stays.
func (r *Result) fail(ctx context.Context, err error, timeout time.Duration) {
	reason, message := explain(err)
	if errors.Is(context.Cause(ctx), errTimeout) {
		reason = v1alpha1.ReasonDeadlineExceeded
		message = fmt.Sprintf("the scan took longer than %s; raise spec.scanner.timeout (--timeout), %s", timeout, v1alpha1.TwiceAsLong(timeout))
	}
	r.set(reason, message)
	var live *liveError
	if errors.As(err, &live) {
		r.Report.Outcome.Coverage = live.coverage
	}
}

func (r *Result) set(reason, message string) {
	r.Identity = ""
	r.Outcome = outcomeOf(reason)
	coverage := ""
	if r.Report.Summary != nil {
		coverage = v1alpha1.CoveragePartial
	}
	r.Report.Outcome = v1alpha1.Outcome{Reason: reason, Message: message, Coverage: coverage}
}

// explain returns an error's reason, and a message without the reason and the path, which
// stand elsewhere in the report.
func explain(err error) (reason, message string) {
	var fromImage *rootfs.Error
	var fromVolume *volume.Error
	var fromEngine *engine.Error
	var fromRegistry *registry.Error
	var fromOpener *opener.Error
	switch {
	case errors.As(err, &fromOpener):
		return openerReasons[fromOpener.Code], fromOpener.Message
	case errors.As(err, &fromImage):
		return fromImage.Reason, printable.Message(fromImage.Message)
	case errors.As(err, &fromVolume):
		return fromVolume.Reason, fromVolume.Message
	case errors.As(err, &fromEngine):
		return string(fromEngine.Reason), fromEngine.Error()
	case errors.As(err, &fromRegistry):
		return fromRegistry.Reason, printable.Message(fromRegistry.Error())
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.ETIMEDOUT):
		return v1alpha1.ReasonBackendUnreachable, "the volume's storage failed: " + printable.Message(err.Error())
	}
	return v1alpha1.ReasonEngineFailed, printable.Message(err.Error())
}

// outcomeOf sorts reasons into the outcomes that are counted.
func outcomeOf(reason string) v1alpha1.EntryOutcome {
	switch reason {
	case "":
		return v1alpha1.EntryScanned
	case v1alpha1.ReasonUnsupported:
		return v1alpha1.EntryUnsupported
	case v1alpha1.ReasonPermissionDenied:
		return v1alpha1.EntryDenied
	case v1alpha1.ReasonChanging:
		return v1alpha1.EntryChanging
	}
	return v1alpha1.EntryFailed
}

// settings is what besides the file itself decides what a scan finds and keeps: what was asked for, the documents by
// name, the engine with its version, and the database.
func settings(engineName, version, database string, asked, documents []string) string {
	slices.Sort(asked)
	slices.Sort(documents)
	const known = 12 // characters of the database's digest
	database = cmp.Or(strings.TrimPrefix(database, "sha256:"), "none")
	return report.Hash(6, asked...) + "[" + strings.Join(slices.Compact(documents), ",") + "]:" + engineName + "-" + version + ":" + database[:min(len(database), known)]
}

// covers says whether nothing differs between an identity and one that would be asked for but documents of which
// the first has more: another SIFScan asked for those, and this one finds all of its own.
func covers(was, asked string) bool {
	before, documents, after := cutDocuments(was)
	askedBefore, askedDocuments, askedAfter := cutDocuments(asked)
	return before == askedBefore && after == askedAfter &&
		!slices.ContainsFunc(askedDocuments, func(d string) bool { return !slices.Contains(documents, d) })
}

func cutDocuments(identity string) (before string, documents []string, after string) {
	begin, end := strings.LastIndexByte(identity, '['), strings.LastIndexByte(identity, ']')
	if begin < 0 || end < begin {
		return identity, nil, ""
	}
	return identity[:begin], strings.Split(identity[begin+1:end], ","), identity[end:]
}

// exceptDatabase is an identity without its last part, the database.
func exceptDatabase(identity string) string {
	return identity[:max(strings.LastIndexByte(identity, ':'), 0)]
}
