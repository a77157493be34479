// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"strings"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// evidence is what is known of a run whose Job completed.
type evidence struct {
	settings settings
	tally    *tally
	sum      *summing
	verdict  verdict
	now      time.Time
}

// rules decide what a completed run comes to; the first that applies does. A run is well only
// when no rule before the last has an objection.
var rules = []func(evidence) (health, bool){
	unaccounted,
	nothingReadable,
	nothingFound,
	reportsMissing,
	wellEnded,
}

// judge says what a completed run comes to.
func judge(e evidence) health {
	for _, rule := range rules {
		if h, ok := rule(e); ok {
			return h
		}
	}
	panic("wellEnded applies to every run")
}

// again tells how to start a run anew whose spec is as it should be.
const again = "set the annotation " + v1alpha1.AnnotationRescanAt + " to a new value to scan again"

// unaccounted: some target has no outcome.
func unaccounted(e evidence) (health, bool) {
	defect := e.tally.defect()
	return stalled(v1alpha1.ReasonReportUnavailable,
		"the scan's Job completed, but not every target is accounted for: "+defect+"; "+again), defect != ""
}

// nothingReadable: the scan's user may not read what was asked for.
func nothingReadable(e evidence) (health, bool) {
	t := e.tally.targets
	message := e.verdict.message
	if message == "" {
		what, _ := e.settings.describe()
		message = fmt.Sprintf("%s of %s may not be read by the scan's user",
			counted(t.Denied, "file or directory", "files and directories"), what)
	}
	message += "; ask an administrator for the annotations " + v1alpha1.AnnotationRunAsUser + " and " +
		v1alpha1.AnnotationRunAsGroup + " on this Namespace, or for other permissions on the volume"
	denied := t.Denied > 0 && t.Denied == t.Discovered ||
		t.Discovered == 0 && e.verdict.reason == v1alpha1.ReasonPermissionDenied
	return stalled(v1alpha1.ReasonPermissionDenied, message), denied
}

// nothingFound: a scan of nothing is a failure, or a typing error would pass for a clean fleet.
func nothingFound(e evidence) (health, bool) {
	message := e.verdict.message
	if message == "" {
		what, fields := e.settings.describe()
		message = fmt.Sprintf("nothing to scan in %s: check %s", what, fields)
	}
	t := e.tally.targets
	// Paths that were written and do not exist are counted, as failed, and are no images.
	onlyMissing := t.Scanned+t.Unchanged+t.Changing == 0 && e.verdict.reason == v1alpha1.ReasonNoTargets
	return stalled(v1alpha1.ReasonNoTargets, message), t.Discovered == 0 || onlyMissing
}

// reportsMissing: images count as read and what was read of them is not there.
func reportsMissing(e evidence) (health, bool) {
	n := e.sum.missing()
	return stalled(v1alpha1.ReasonReportUnavailable, fmt.Sprintf("%s of this run: it may have been deleted; %s",
		counted(n, "ScanReport is missing", "ScanReports are missing"), again)), n > 0
}

// wellEnded: every target is accounted for. Single images that were not read are notes.
func wellEnded(e evidence) (health, bool) {
	t := e.tally.targets
	h := finished(v1alpha1.ReasonSucceeded, outcomeText(t))
	if t.Failed+t.Unsupported > 0 {
		h.degraded = degradedText(e.tally)
		h.reason = v1alpha1.ReasonDegraded
	}
	if t.Denied+t.Changing > 0 {
		h.partial = partialText(e.tally)
		if h.degraded == "" {
			h.reason = v1alpha1.ReasonPartial
		}
	}
	h.policy = e.sum.judged.condition(t.Failed + t.Unsupported + t.Denied + t.Changing)
	if len(e.tally.reports) > 0 && e.sum.assessed == 0 {
		h.note(v1alpha1.ReasonNotAssessed, fmt.Sprintf("%s inventoried, and no vulnerability database matched them: their findings are unknown, not zero",
			counted(e.sum.summary.Packages, "package was", "packages were")))
		h.noteNotKept(e.sum.notKept)
		return h, true
	}
	if n := e.sum.summary.NotAssessed; n > 0 {
		h.note(v1alpha1.ReasonPartiallyAssessed, fmt.Sprintf("the vulnerability database says nothing on %s", counted(n, "package", "packages")))
	}
	if age := e.now.Sub(e.sum.oldest); !e.sum.oldest.IsZero() && age > maxDatabaseAge {
		h.note(v1alpha1.ReasonDatabaseStale, fmt.Sprintf("the newest record of a vulnerability database is %d days old", int(age.Hours()/24)))
	}
	h.noteNotKept(e.sum.notKept)
	return h, true
}

// maxDatabaseAge: advisories appear every day. A mirror that was not fed for a week is forgotten, not resting.
const maxDatabaseAge = 7 * 24 * time.Hour

// note adds what a reader of a finished run must know; the first note becomes the reason unless there is a graver one.
func (h *health) note(reason, message string) {
	h.message += "; " + message
	if h.reason == v1alpha1.ReasonSucceeded {
		h.reason = reason
	}
}

// noteNotKept tells of images whose findings are known and whose documents are nowhere.
func (h *health) noteNotKept(images int) {
	if images > 0 {
		h.note(v1alpha1.ReasonArtifactsNotKept, fmt.Sprintf("documents of %s are not kept: each ScanReport says why", counted(images, "image", "images")))
	}
}

// outcomeText says in a line what came of the images.
func outcomeText(t v1alpha1.TargetCounts) string {
	var parts []string
	for _, part := range []struct {
		n    int32
		word string
	}{
		{t.Scanned, "scanned"}, {t.Unchanged, "unchanged"}, {t.Failed, "failed"},
		{t.Unsupported, "unsupported"}, {t.Denied, "denied"}, {t.Changing, "changing"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return counted(t.Discovered, "image", "images") + ": " + strings.Join(parts, ", ")
}

func degradedText(all *tally) string {
	t := all.targets
	text := fmt.Sprintf("%d of %s could not be read (%d failed, %d unsupported): each ScanReport says why",
		t.Failed+t.Unsupported, counted(t.Discovered, "image", "images"), t.Failed, t.Unsupported)
	if all.unsaid == 0 || all.notStored == "" {
		return text
	}
	return fmt.Sprintf("%s, but for %s: %s", text, counted(all.unsaid, "that has none", "that have none"), all.notStored)
}

func partialText(t *tally) string {
	var parts []string
	if n := t.targets.Denied; n > 0 {
		parts = append(parts, fmt.Sprintf("%s may not be read by the scan's user: %s",
			counted(n, "file or directory", "files and directories"), t.denied.String()))
	}
	if n := t.targets.Changing; n > 0 {
		parts = append(parts, fmt.Sprintf("%s changed while being read, the next run tries again: %s",
			counted(n, "image", "images"), t.changing.String()))
	}
	return strings.Join(parts, "; ")
}
