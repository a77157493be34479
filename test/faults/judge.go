// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

// Difference is what a report says otherwise than that of an undisturbed scan of the same image; empty
// where it says the same. When something was read or first seen, how long it took, and under which name
// documents are kept, whose own times differ, is no matter.
func Difference(undisturbed, got *v1alpha1.ScanReport) string {
	return cmp.Diff(plain(undisturbed), plain(got))
}

func plain(r *v1alpha1.ScanReport) v1alpha1.Report {
	body := *r.Report.DeepCopy()
	body.ObservedAt = metav1.Time{}
	body.Scanner.Duration = nil
	for i := range body.RunningExamples {
		body.RunningExamples[i].ObservedAt = metav1.Time{}
	}
	for i := range body.Findings {
		body.Findings[i].FirstSeen = metav1.Time{}
	}
	for i := range body.Artifacts {
		body.Artifacts[i] = v1alpha1.Artifact{Name: body.Artifacts[i].Name, MediaType: body.Artifacts[i].MediaType}
	}
	return body
}

// contradictions are sentences about what does not fit together.
type contradictions []string

func (c *contradictions) unless(ok bool, format string, args ...any) {
	if !ok {
		*c = append(*c, fmt.Sprintf(format, args...))
	}
}

// OfReport says in what a report contradicts itself: its annotations are its body's, in short.
func OfReport(r *v1alpha1.ScanReport) []string {
	var c contradictions
	for key, want := range report.Annotations(&r.Report) {
		c.unless(r.Annotations[key] == want, "annotation %s is %q, and the report says %q", key, r.Annotations[key], want)
	}
	for _, f := range r.Report.Findings {
		c.unless(!f.FirstSeen.After(r.Report.ObservedAt.Time), "finding %s was first seen at %s, after the image was last opened", f.Key, f.FirstSeen)
	}
	return c
}

// Final reports whether a SIFScan says that its run is over: it ended, or something is missing that somebody must bring.
func Final(s *v1alpha1.SIFScan) bool {
	return s.Status.ObservedGeneration == s.Generation && s.Annotations[v1alpha1.AnnotationRescanAt] == s.Status.LastHandledRescanAt &&
		(is(s, v1alpha1.ConditionComplete) || is(s, v1alpha1.ConditionStalled))
}

// Stalled reports whether a SIFScan says that it cannot go on, and for this reason.
func Stalled(s *v1alpha1.SIFScan, reason string) bool {
	c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionStalled)
	return Final(s) && c != nil && c.Status == metav1.ConditionTrue && c.Reason == reason
}

func is(s *v1alpha1.SIFScan, condition string) bool {
	return meta.IsStatusConditionTrue(s.Status.Conditions, condition)
}

// OfScan says in what a SIFScan whose run is over contradicts itself, or its ScanInventories, without the list that
// workers share, or the reports that these name. Reports may be nil where they are gone with their claim.
func OfScan(s *v1alpha1.SIFScan, inventories []v1alpha1.ScanInventory, reports map[string]*v1alpha1.ScanReport) []string {
	var c contradictions
	c.conditions(s)
	if !is(s, v1alpha1.ConditionComplete) {
		return c
	}
	entries := c.inventories(s, inventories)
	c.counts(s, entries)
	c.covered(s)
	if reports != nil {
		c.summary(s, entries, reports)
	}
	return c
}

// conditions that exclude each other, or speak of another generation.
func (c *contradictions) conditions(s *v1alpha1.SIFScan) {
	for _, condition := range s.Status.Conditions {
		c.unless(condition.ObservedGeneration == s.Generation, "%s speaks of generation %d, the spec has %d", condition.Type, condition.ObservedGeneration, s.Generation)
	}
	c.unless(is(s, v1alpha1.ConditionComplete) != is(s, v1alpha1.ConditionStalled), "Complete and Stalled are both %t", is(s, v1alpha1.ConditionStalled))
	c.unless(is(s, v1alpha1.ConditionReady) == is(s, v1alpha1.ConditionComplete), "Ready is %t, Complete is not", is(s, v1alpha1.ConditionReady))
	c.unless(!is(s, v1alpha1.ConditionReconciling), "it is over, and Reconciling")
}

// inventories of the run, which ended; returns all their entries.
func (c *contradictions) inventories(s *v1alpha1.SIFScan, all []v1alpha1.ScanInventory) []v1alpha1.InventoryEntry {
	c.unless(s.Status.StartTime != nil && s.Status.CompletionTime != nil && !s.Status.CompletionTime.Before(s.Status.StartTime),
		"it began at %s and ended at %s", s.Status.StartTime, s.Status.CompletionTime)
	c.unless(int(s.Status.Inventories) == len(all), "it has %d inventories, and says %d", len(all), s.Status.Inventories)
	var entries []v1alpha1.InventoryEntry
	paths := map[string]bool{}
	for i := range all {
		inventory := &all[i]
		own, err := inventory.AllEntries()
		c.unless(err == nil, "%s: %v", inventory.Name, err)
		for _, entry := range own {
			c.unless(!paths[entry.Path], "%s: %s has two outcomes", inventory.Name, entry.Path)
			paths[entry.Path] = true
		}
		entries = append(entries, own...)
		w := inventory.Worker
		c.unless(w.Total != nil && w.Done == *w.Total, "%s: worker %d did %d of its targets and has another number", inventory.Name, w.Index, w.Done)
		c.unless(len(w.InFlight) == 0, "%s: worker %d is over, with %v in its hands", inventory.Name, w.Index, w.InFlight)
	}
	return entries
}

// counts of the status, against its conditions and the entries.
func (c *contradictions) counts(s *v1alpha1.SIFScan, entries []v1alpha1.InventoryEntry) {
	if s.Status.Targets == nil {
		c.unless(false, "it is over, and counts no targets")
		return
	}
	var want v1alpha1.TargetCounts
	for _, e := range entries {
		want.Discovered++
		switch e.Outcome {
		case v1alpha1.EntryScanned:
			want.Scanned++
		case v1alpha1.EntryUnchanged:
			want.Unchanged++
		case v1alpha1.EntryFailed:
			want.Failed++
		case v1alpha1.EntryUnsupported:
			want.Unsupported++
		case v1alpha1.EntryDenied:
			want.Denied++
		case v1alpha1.EntryChanging:
			want.Changing++
		}
	}
	t := *s.Status.Targets
	c.unless(t == want, "it counts %+v, its inventories have %+v", t, want)
	c.unless(is(s, v1alpha1.ConditionDegraded) == (t.Failed+t.Unsupported > 0), "Degraded is %t with %+v", is(s, v1alpha1.ConditionDegraded), t)
	c.unless(is(s, v1alpha1.ConditionPartial) == (t.Denied+t.Changing > 0), "Partial is %t with %+v", is(s, v1alpha1.ConditionPartial), t)
}

// covered is the share that was checked, of the targets that the status counts.
func (c *contradictions) covered(s *v1alpha1.SIFScan) {
	if t := s.Status.Targets; t != nil {
		c.unless(is(s, v1alpha1.ConditionCovered) == (t.Scanned+t.Unchanged == t.Discovered), "Covered is %t with %+v", is(s, v1alpha1.ConditionCovered), *t)
	}
}

// summary of the status, against the reports that the entries name.
func (c *contradictions) summary(s *v1alpha1.SIFScan, entries []v1alpha1.InventoryEntry, reports map[string]*v1alpha1.ScanReport) {
	if s.Status.Summary == nil {
		c.unless(false, "it is over, and has no summary")
		return
	}
	var packages, critical, high int32
	for _, e := range entries {
		r := reports[e.Report]
		if r == nil {
			c.unless(false, "%s: its report %q is not there", e.Path, e.Report)
			continue
		}
		if sum := r.Report.Summary; sum != nil {
			packages += sum.Packages
			critical += number(sum.Critical)
			high += number(sum.High)
		}
	}
	got := *s.Status.Summary
	c.unless(got.Packages == packages && number(got.Critical) == critical && number(got.High) == high,
		"its summary has %d packages, %d critical and %d high findings, its reports %d, %d and %d",
		got.Packages, number(got.Critical), number(got.High), packages, critical, high)
}

func number(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}

// OfSchedule says in what a ScanSchedule contradicts its SIFScans, all of which are over: every one that was asked
// for by a value of the annotation run-now is there once.
func OfSchedule(schedule *v1alpha1.ScanSchedule, scans []v1alpha1.SIFScan, asked []string) []string {
	var c contradictions
	c.unless(len(scans) == len(asked), "%d scans were asked for, and it made %d", len(asked), len(scans))
	c.unless(len(schedule.Status.Active) == 0, "its scans are over, and %v are active", schedule.Status.Active)
	c.unless(schedule.Status.ObservedGeneration == schedule.Generation, "it speaks of generation %d, the spec has %d", schedule.Status.ObservedGeneration, schedule.Generation)
	c.unless(meta.IsStatusConditionTrue(schedule.Status.Conditions, v1alpha1.ConditionReady), "it is not Ready")
	ran := meta.FindStatusCondition(schedule.Status.Conditions, "RunNow")
	c.unless(ran != nil && len(asked) > 0 && ran.Message == asked[len(asked)-1], "it took up %v last, of %v", ran, asked)
	var ends []metav1.Time
	for i := range scans {
		if is(&scans[i], v1alpha1.ConditionComplete) && scans[i].Status.CompletionTime != nil {
			ends = append(ends, *scans[i].Status.CompletionTime)
		}
	}
	last := slices.MaxFunc(append(ends, metav1.Time{}), func(a, b metav1.Time) int { return a.Compare(b.Time) })
	told := schedule.Status.LastSuccessfulTime
	c.unless(told != nil && told.Equal(&last), "its last scan ended well at %s, and it says %s", last, told)
	return c
}
