// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

var began = metav1.Date(2026, 11, 22, 1, 30, 0, 0, time.UTC)

func later(d time.Duration) metav1.Time { return metav1.NewTime(began.Add(d)) }

// aReport is the report of an image with one finding and one document.
func aReport() *v1alpha1.ScanReport {
	return &v1alpha1.ScanReport{
		ObjectMeta: metav1.ObjectMeta{Name: "sr-a", Annotations: map[string]string{
			v1alpha1.AnnotationOutcome: "scanned", v1alpha1.AnnotationPackages: "5/1", v1alpha1.AnnotationCounts: "1/2/0/0/0",
		}},
		Report: v1alpha1.Report{
			Target:  v1alpha1.ReportTarget{Kind: "sif", Path: "/shared/a.sif"},
			Scanner: v1alpha1.ReportScanner{Engine: "native", Duration: &metav1.Duration{Duration: time.Second}},
			Outcome: v1alpha1.Outcome{Coverage: v1alpha1.CoverageComplete},
			Summary: &v1alpha1.Summary{Critical: ptr.To[int32](1), High: ptr.To[int32](2), Medium: ptr.To[int32](0), Low: ptr.To[int32](0),
				Unknown: ptr.To[int32](0), Packages: 5, NotAssessed: 1},
			RunningExamples: []v1alpha1.RunningExample{{Node: "n1", User: 1, ObservedAt: began}},
			Findings:        []v1alpha1.Finding{{Key: "CVE-2026-1/bash", Severity: "critical", FirstSeen: began}},
			Artifacts:       []v1alpha1.Artifact{{Name: "sbom.spdx.json", ConfigMap: "sifscan-sr-a-1", SHA256: "aa", SizeBytes: 7}},
			ObservedAt:      began,
		},
	}
}

func TestAReportEqualsAnUndisturbedOne(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.Report)
		equal  bool
	}{
		"when nothing differs":             {func(*v1alpha1.Report) {}, true},
		"when it was made at another time": {func(r *v1alpha1.Report) { r.ObservedAt, r.Findings[0].FirstSeen = later(1), later(1) }, true},
		"when it took longer":              {func(r *v1alpha1.Report) { r.Scanner.Duration = nil }, true},
		"when what ran was seen then": {func(r *v1alpha1.Report) {
			r.RunningExamples = []v1alpha1.RunningExample{{Node: "n1", User: 1, ObservedAt: later(1)}}
		}, true},
		"but not when something else ran": {func(r *v1alpha1.Report) {
			r.RunningExamples = []v1alpha1.RunningExample{{Node: "n1", User: 2, ObservedAt: began}}
		}, false},
		"when its documents have another name": {func(r *v1alpha1.Report) { r.Artifacts[0].ConfigMap = "sifscan-sr-b-2" }, true},
		"but not when a finding is missing":    {func(r *v1alpha1.Report) { r.Findings = nil }, false},
		"but not when a count differs":         {func(r *v1alpha1.Report) { r.Summary.High = ptr.To[int32](1) }, false},
		"but not when packages are missing":    {func(r *v1alpha1.Report) { r.Summary.Packages = 4 }, false},
		"but not when less was read":           {func(r *v1alpha1.Report) { r.Outcome.Coverage = v1alpha1.CoveragePartial }, false},
		"but not when it failed":               {func(r *v1alpha1.Report) { r.Outcome.Reason = v1alpha1.ReasonEngineFailed }, false},
		"but not when a document is missing":   {func(r *v1alpha1.Report) { r.Artifacts = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := aReport()
			c.change(&got.Report)
			if diff := Difference(aReport(), got); (diff == "") != c.equal {
				t.Errorf("difference: %s", diff)
			}
		})
	}
}

func TestAReportContradictsItself(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.ScanReport)
		want   string
	}{
		"in nothing":                {func(*v1alpha1.ScanReport) {}, ""},
		"in its counts":             {func(r *v1alpha1.ScanReport) { r.Report.Summary.High = ptr.To[int32](3) }, "counts"},
		"in its outcome":            {func(r *v1alpha1.ScanReport) { r.Report.Outcome.Reason = v1alpha1.ReasonChanging }, "outcome"},
		"in when a finding was new": {func(r *v1alpha1.ScanReport) { r.Report.Findings[0].FirstSeen = later(time.Hour) }, "first seen"},
	} {
		t.Run(name, func(t *testing.T) {
			r := aReport()
			c.change(r)
			wantOne(t, OfReport(r), c.want)
		})
	}
}

// wantOne wants one contradiction that says something, or none.
func wantOne(t *testing.T, got []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(got) > 0:
		t.Errorf("contradicts itself: %q", got)
	case want != "" && !slices.ContainsFunc(got, func(c string) bool { return strings.Contains(c, want) }):
		t.Errorf("%q, want one that says %q", got, want)
	}
}

// run is a SIFScan with what belongs to it.
type run struct {
	scan        *v1alpha1.SIFScan
	inventories []v1alpha1.ScanInventory
	reports     map[string]*v1alpha1.ScanReport
}

func (r *run) set(condition string, status metav1.ConditionStatus) {
	meta.SetStatusCondition(&r.scan.Status.Conditions, metav1.Condition{Type: condition, Status: status, Reason: "Test", ObservedGeneration: r.scan.Generation})
}

// wellEnded is a run of two workers with an image each.
func wellEnded() *run {
	r := &run{
		scan:    &v1alpha1.SIFScan{ObjectMeta: metav1.ObjectMeta{Name: "images", Generation: 3}},
		reports: map[string]*v1alpha1.ScanReport{"sr-a": aReport(), "sr-b": aReport()},
	}
	for i, path := range []string{"a.sif", "b.sif"} {
		r.inventories = append(r.inventories, v1alpha1.ScanInventory{
			Worker:  v1alpha1.InventoryWorker{Index: int32(i), Done: 1, Total: ptr.To[int32](1)},
			Entries: []v1alpha1.InventoryEntry{{Path: path, Outcome: v1alpha1.EntryScanned, Report: slices.Sorted(maps.Keys(r.reports))[i]}},
		})
	}
	r.scan.Status = v1alpha1.SIFScanStatus{
		ObservedGeneration: 3, StartTime: ptr.To(began), CompletionTime: ptr.To(later(time.Minute)), Inventories: 2,
		Targets: &v1alpha1.TargetCounts{Discovered: 2, Scanned: 2},
		Summary: &v1alpha1.Summary{Critical: ptr.To[int32](2), High: ptr.To[int32](4), Packages: 10},
	}
	for _, condition := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionComplete, v1alpha1.ConditionCovered} {
		r.set(condition, metav1.ConditionTrue)
	}
	return r
}

func TestASIFScanContradicts(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*run)
		want   string
	}{
		"nothing":                        {func(*run) {}, ""},
		"nothing where reports are gone": {func(r *run) { r.reports = nil }, ""},
		"itself: ready and not complete": {func(r *run) { r.set(v1alpha1.ConditionComplete, metav1.ConditionFalse) }, "Ready is true"},
		"itself: complete and stalled":   {func(r *run) { r.set(v1alpha1.ConditionStalled, metav1.ConditionTrue) }, "both true"},
		"itself: complete and at work":   {func(r *run) { r.set(v1alpha1.ConditionReconciling, metav1.ConditionTrue) }, "Reconciling"},
		"its spec":                       {func(r *run) { r.scan.Generation = 4 }, "generation"},
		"time":                           {func(r *run) { r.scan.Status.CompletionTime = ptr.To(later(-1 * time.Hour)) }, "ended at"},
		"its counts":                     {func(r *run) { r.scan.Status.Targets.Scanned = 1 }, "inventories have"},
		"its counts, by Degraded":        {func(r *run) { r.set(v1alpha1.ConditionDegraded, metav1.ConditionTrue) }, "Degraded"},
		"its counts, by Partial":         {func(r *run) { r.set(v1alpha1.ConditionPartial, metav1.ConditionTrue) }, "Partial"},
		"its counts, by Covered":         {func(r *run) { r.set(v1alpha1.ConditionCovered, metav1.ConditionFalse) }, "Covered"},
		"its inventories' number":        {func(r *run) { r.inventories = r.inventories[:1] }, "inventories"},
		"a path with two outcomes":       {func(r *run) { r.inventories[1].Entries[0].Path = "a.sif" }, "two outcomes"},
		"a worker with work left":        {func(r *run) { r.inventories[0].Worker.Total = ptr.To[int32](2) }, "another number"},
		"a worker with an image in its hands": {func(r *run) {
			r.inventories[0].Worker.InFlight = []v1alpha1.InFlight{{Path: "a.sif"}}
		}, "in its hands"},
		"a report that is not there":    {func(r *run) { delete(r.reports, "sr-b") }, "not there"},
		"what its reports say":          {func(r *run) { r.reports["sr-b"].Report.Summary.Packages = 6 }, "packages"},
		"having ended, with no counts":  {func(r *run) { r.scan.Status.Targets = nil }, "no targets"},
		"having ended, with no summary": {func(r *run) { r.scan.Status.Summary = nil }, "no summary"},
	} {
		t.Run(name, func(t *testing.T) {
			r := wellEnded()
			c.change(r)
			wantOne(t, OfScan(r.scan, r.inventories, r.reports), c.want)
		})
	}
}

func TestASIFScanIsOver(t *testing.T) {
	r := wellEnded()
	if !Final(r.scan) || Stalled(r.scan, "Test") {
		t.Error("one that ended well is over, and not Stalled")
	}
	r.scan.Annotations = map[string]string{v1alpha1.AnnotationRescanAt: "again"}
	if Final(r.scan) {
		t.Error("one that is to run again is not over")
	}
	r = wellEnded()
	r.set(v1alpha1.ConditionComplete, metav1.ConditionFalse)
	r.set(v1alpha1.ConditionReady, metav1.ConditionFalse)
	if Final(r.scan) {
		t.Error("one that is neither Complete nor Stalled is not over")
	}
	r.set(v1alpha1.ConditionStalled, metav1.ConditionTrue)
	if !Final(r.scan) || !Stalled(r.scan, "Test") || Stalled(r.scan, "Other") {
		t.Error("one that is Stalled is over, for its reason")
	}
	wantOne(t, OfScan(r.scan, nil, nil), "")
}

func TestAScanScheduleContradicts(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*v1alpha1.ScanSchedule, *[]v1alpha1.SIFScan)
		want   string
	}{
		"nothing":                     {func(*v1alpha1.ScanSchedule, *[]v1alpha1.SIFScan) {}, ""},
		"who asked":                   {func(_ *v1alpha1.ScanSchedule, s *[]v1alpha1.SIFScan) { *s = append(*s, *wellEnded().scan) }, "it made 3"},
		"who asked last":              {func(s *v1alpha1.ScanSchedule, _ *[]v1alpha1.SIFScan) { s.Status.Conditions[1].Message = "one" }, "took up"},
		"its scans, which are over":   {func(s *v1alpha1.ScanSchedule, _ *[]v1alpha1.SIFScan) { s.Status.Active = []string{"images"} }, "are active"},
		"its scans, which ended well": {func(s *v1alpha1.ScanSchedule, _ *[]v1alpha1.SIFScan) { s.Status.LastSuccessfulTime = nil }, "ended well"},
		"its spec":                    {func(s *v1alpha1.ScanSchedule, _ *[]v1alpha1.SIFScan) { s.Generation = 2 }, "generation"},
		"being ready":                 {func(s *v1alpha1.ScanSchedule, _ *[]v1alpha1.SIFScan) { s.Status.Conditions[0].Status = "False" }, "not Ready"},
	} {
		t.Run(name, func(t *testing.T) {
			schedule := &v1alpha1.ScanSchedule{Status: v1alpha1.ScanScheduleStatus{
				LastSuccessfulTime: ptr.To(later(time.Minute)),
				Conditions: []metav1.Condition{
					{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}, {Type: "RunNow", Status: metav1.ConditionTrue, Message: "two"},
				},
			}}
			scans := []v1alpha1.SIFScan{*wellEnded().scan, *wellEnded().scan}
			c.change(schedule, &scans)
			wantOne(t, OfSchedule(schedule, scans, []string{"one", "two"}), c.want)
		})
	}
}

func TestTheTableHasWhatWasPlanned(t *testing.T) {
	var tally Tally
	p := New(1, Whole)
	tally.Struck(KillEtcd)
	tally.Struck(KillScanner)
	tally.Late(KillScanner)
	table := tally.Table(p)
	for _, want := range []string{"seed 1, 50 scans", "etcd killed        1       1         0", "disk filled        1       0         0"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	if struck, late := tally.Total(); struck != 2 || late != 1 {
		t.Errorf("%d struck, %d late", struck, late)
	}
}
