// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// history scans one image again and again, and keeps of it what a ScanReport keeps.
type history struct {
	now  time.Time
	last *v1alpha1.ScanReport
	keep int
}

func newHistory(keep int) *history {
	return &history{now: time.Unix(1_700_000_000, 0), last: &v1alpha1.ScanReport{}, keep: keep}
}

// scanned is a report of the whole image with findings of these keys.
func (h *history) scanned(keys ...string) *v1alpha1.ScanReport {
	r := &v1alpha1.ScanReport{Report: v1alpha1.Report{
		Outcome: v1alpha1.Outcome{Coverage: v1alpha1.CoverageComplete},
		Summary: &v1alpha1.Summary{Critical: ptr.To[int32](0)},
	}}
	for _, key := range keys {
		r.Report.Findings = append(r.Report.Findings, v1alpha1.Finding{Key: key, FirstSeen: metav1.NewTime(h.now)})
	}
	return r
}

// store is a night's scan.
func (h *history) store(r *v1alpha1.ScanReport) {
	seen := Seen{}
	seen.Learn(h.last)
	seen.Apply(&r.Report)
	all := r.Report.DeepCopy()
	Keep(&r.Report, h.keep)
	metav1.SetMetaDataAnnotation(&r.ObjectMeta, v1alpha1.AnnotationFirstSeen, seen.Remember(all, &r.Report))
	h.last = r
	h.now = h.now.Add(24 * time.Hour)
}

// age of a listed finding in nights; -1: not listed.
func (h *history) age(key string) int {
	for _, f := range h.last.Report.Findings {
		if f.Key == key {
			return int(h.now.Sub(f.FirstSeen.Time)/(24*time.Hour)) - 1
		}
	}
	return -1
}

func TestAFindingKeepsItsAge(t *testing.T) {
	failed := func(change func(*v1alpha1.Report)) func(*history) {
		return func(h *history) {
			r := h.scanned()
			change(&r.Report)
			h.store(r)
		}
	}
	for name, between := range map[string]func(*history){
		"while it is listed":                  func(h *history) { h.store(h.scanned("old")) },
		"while others push it off the list":   func(h *history) { h.store(h.scanned("worse", "bad", "old")) },
		"while the image cannot be read":      failed(func(r *v1alpha1.Report) { r.Outcome.Reason, r.Summary = v1alpha1.ReasonBackendUnreachable, nil }),
		"while a part of it cannot be read":   failed(func(r *v1alpha1.Report) { r.Outcome.Coverage = v1alpha1.CoveragePartial }),
		"while there is no database":          failed(func(r *v1alpha1.Report) { r.Summary.Critical = nil }),
		"while there are too many to be told": failed(func(r *v1alpha1.Report) { r.Truncated = 1 }),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(2)
			h.store(h.scanned("old"))
			between(h)
			between(h)
			h.store(h.scanned("old"))
			if got := h.age("old"); got != 3 {
				t.Errorf("it was first seen %d nights ago, not 3", got)
			}
			if left := h.last.Annotations[v1alpha1.AnnotationFirstSeen]; left != "" {
				t.Errorf("what is listed is remembered twice: %q", left)
			}
		})
	}
}

func TestAFindingThatWasGoneIsNewWhenItComesBack(t *testing.T) {
	h := newHistory(2)
	h.store(h.scanned("fixed", "other"))
	h.store(h.scanned("other"))
	if left := h.last.Annotations[v1alpha1.AnnotationFirstSeen]; left != "" {
		t.Errorf("what is gone is remembered: %q", left)
	}
	h.store(h.scanned("fixed", "other"))
	if h.age("fixed") != 0 || h.age("other") != 2 {
		t.Errorf("ages %d and %d", h.age("fixed"), h.age("other"))
	}
}

func TestWhatIsRememberedIsBoundedAndTheOldestStays(t *testing.T) {
	h := newHistory(MaxFindings)
	h.store(h.scanned("oldest"))
	keys := []string{"oldest"}
	for i := range maxSeen + 20 {
		keys = append(keys, fmt.Sprint("new", i))
	}
	h.store(h.scanned(keys...))
	unread := h.scanned()
	unread.Report.Outcome.Reason = v1alpha1.ReasonCorruptImage
	h.store(unread)
	if n := len(h.last.Annotations[v1alpha1.AnnotationFirstSeen]); n > 16*maxSeen {
		t.Errorf("%d bytes are remembered", n)
	}
	h.store(h.scanned("oldest"))
	if h.age("oldest") != 3 {
		t.Errorf("the oldest was forgotten: %d", h.age("oldest"))
	}
}

func TestAHostileMemoryMakesNothingYounger(t *testing.T) {
	h := newHistory(2)
	h.store(h.scanned("old"))
	for _, text := range []string{"=", "x", ",,,=,", "aaaaaaaa=zzzzzzzzzzzzzzzz", "aaaaaaaa=-1", Hash(keyHash, "old") + "=zzzzzz"} {
		h.last.Annotations[v1alpha1.AnnotationFirstSeen] = text
		h.store(h.scanned("old"))
	}
	if h.age("old") != 6 {
		t.Errorf("first seen %d nights ago, not 6", h.age("old"))
	}
}
