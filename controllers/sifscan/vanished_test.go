// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestAnImageIsMissedOnlyByARunThatSawItsDirectory(t *testing.T) {
	const image = "projects/ai/gone.sif"
	saw := func(path string, outcome v1alpha1.EntryOutcome) v1alpha1.InventoryEntry {
		return v1alpha1.InventoryEntry{Path: path, Outcome: outcome}
	}
	other := saw("projects/ai/there.sif", v1alpha1.EntryUnchanged)
	for _, tc := range []struct {
		name    string
		entries []v1alpha1.InventoryEntry
		want    bool
	}{
		{"another image lies there", []v1alpha1.InventoryEntry{other}, true},
		{"and one was read there", []v1alpha1.InventoryEntry{saw("projects/ai/new.sif", v1alpha1.EntryScanned)}, true},
		{"nothing was seen", nil, false},
		{"only images elsewhere: the directory may not be mounted", []v1alpha1.InventoryEntry{saw("projects/a.sif", v1alpha1.EntryScanned), saw("projects/ai/deep/b.sif", v1alpha1.EntryScanned)}, false},
		{"the directory may not be read", []v1alpha1.InventoryEntry{other, saw("projects/ai", v1alpha1.EntryDenied)}, false},
		{"nor one above it", []v1alpha1.InventoryEntry{other, saw("projects", v1alpha1.EntryDenied)}, false},
		{"the storage failed at the root", []v1alpha1.InventoryEntry{other, saw(".", v1alpha1.EntryFailed)}, false},
		{"the image is there and may not be read", []v1alpha1.InventoryEntry{other, saw(image, v1alpha1.EntryDenied)}, false},
		{"the image is there and its report could not be stored", []v1alpha1.InventoryEntry{other, saw(image, v1alpha1.EntryFailed)}, false},
		{"what lies there could not be read either", []v1alpha1.InventoryEntry{saw("projects/ai/there.sif", v1alpha1.EntryFailed)}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSight()
			s.ask(image)
			s.ask("at-the-top.sif")
			for i := range tc.entries {
				s.see(&tc.entries[i])
			}
			if got := s.missed(image); got != tc.want {
				t.Errorf("missed = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestReportsOfTheScopeAreMissingWhereTheRunNamesThemNowhere(t *testing.T) {
	s := resolve(&makeScan().Spec)
	t3 := tallied(makeInventory(someJob, 0, 0).total(3).entries(1, v1alpha1.EntryScanned).entries(1, v1alpha1.EntryUnchanged).entries(1, v1alpha1.EntryFailed))
	t3.failures["sr-2.sif"] = struct{}{}
	m := newMissing(s, t3)
	for _, report := range []struct{ name, scope, missedBy string }{
		{"sr-0.sif", s.scope(), ""}, {"sr-1.sif", s.scope(), "u/v1-1"}, {"sr-2.sif", s.scope(), ""},
		{"sr-gone", s.scope(), ""}, {"sr-other-scope", "0123456789abcdef", ""}, {"sr-older-than-scopes", "", ""},
	} {
		m.add(makeReport(report.name, v1alpha1.AnnotationScope, report.scope, v1alpha1.AnnotationMissedBy, report.missedBy))
	}
	if len(m.gone) != 1 || m.gone[0].Name != "sr-gone" || len(m.back) != 1 || m.back[0].Name != "sr-1.sif" || m.all != 4 {
		t.Errorf("gone %v, back %v, of %d", m.gone, m.back, m.all)
	}
}

func TestMoreThanAFifthAtOnceIsNoCleanUp(t *testing.T) {
	for _, tc := range []struct {
		gone, there int
		want        bool
	}{{1, 4, false}, {1, 3, true}, {2, 8, false}, {3, 11, true}, {20, 80, false}, {1, 0, true}} {
		m := &missing{scope: "s", tally: newTally()}
		for i := range tc.there {
			name := fmt.Sprint("there-", i)
			m.tally.reports[name] = struct{}{}
			m.add(makeReport(name, v1alpha1.AnnotationScope, "s"))
		}
		for i := range tc.gone {
			m.add(makeReport(fmt.Sprint("gone-", i), v1alpha1.AnnotationScope, "s"))
		}
		if got := m.tooMany(); got != tc.want {
			t.Errorf("%d of %d: too many is %v", tc.gone, tc.gone+tc.there, got)
		}
	}
}

// volumeOf is an API server with a claim and reports of images by path, of no scan that saw them.
func volumeOf(t *testing.T, paths ...string) (*Reconciler, func() []string) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	objects := []client.Object{&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "hpc", Name: "shared", UID: claimUID}}}
	for _, path := range paths {
		objects = append(objects, &v1alpha1.ScanReport{
			ObjectMeta: metav1.ObjectMeta{Namespace: "hpc", Name: nameOf(path), UID: types.UID(path), OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: "shared", UID: claimUID}}},
			Report: v1alpha1.Report{Target: v1alpha1.ReportTarget{Path: "/" + path}},
		})
	}
	server := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	left := func() (names []string) {
		list := &v1alpha1.ScanReportList{}
		if err := server.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		return names
	}
	return &Reconciler{Client: cacheOf(server), Live: server}, left
}

func nameOf(path string) string { return "sr-" + strings.ReplaceAll(path, "/", "-") }

func TestReportsThatNothingIsKnownOfKeepNoOthersFromBeingDeleted(t *testing.T) {
	var all []string
	for i := range 250 {
		all = append(all, fmt.Sprintf("emptied/%03d.sif", i)) // their names come first
	}
	for i := range 10 {
		all = append(all, fmt.Sprintf("used/%d.sif", i))
	}
	r, left := volumeOf(t, all...)
	for night := range 2 {
		if n := len(left()); n != 260 {
			t.Fatalf("night %d begins with %d reports", night, n)
		}
		scan := makeScan().with(func(s *v1alpha1.SIFScan) { s.UID = types.UID(fmt.Sprint("night-", night)) }).obj()
		p := &pass{scan: scan, run: RunID(scan)}
		there := makeInventory(JobName(scan.Name, p.run), 0, 0)
		there.Name, there.Labels = fmt.Sprint(there.Name, night), maps.Clone(ofRun(p))
		there.Labels[v1alpha1.LabelWorker] = "0"
		there.Entries = []v1alpha1.InventoryEntry{{Path: "used/there.sif", Outcome: v1alpha1.EntryUnchanged, Report: "sr-there"}}
		if err := r.Client.Create(t.Context(), &there.ScanInventory); err != nil {
			t.Fatal(err)
		}
		m := &missing{scope: "s", tally: newTally(), all: 10_000}
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ScanReportList"))
		if err := r.Client.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			m.gone = append(m.gone, &list.Items[i])
		}
		r.clearVanished(t.Context(), p, m)
	}
	if names := left(); len(names) != 250 || slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "sr-used") }) {
		t.Errorf("%d reports stay, from %s to %s", len(names), names[0], names[len(names)-1])
	}
}

func TestEveryReportHasItsTurnWhereMoreAreMissingThanARunLooksInto(t *testing.T) {
	var gone []*metav1.PartialObjectMetadata
	for i := range 3 * maxVanished {
		gone = append(gone, makeReport(fmt.Sprintf("sr-%04d", i)))
	}
	turns := map[string]int{}
	const nights = 30
	for night := range nights {
		looked := lookedInto(slices.Clone(gone), fmt.Sprint("run ", night))
		if again := lookedInto(slices.Clone(gone), fmt.Sprint("run ", night)); len(looked) != maxVanished || !slices.Equal(looked, again) {
			t.Fatalf("%d reports, or others at the second look at one run", len(looked))
		}
		for _, report := range looked {
			turns[report.Name]++
		}
	}
	for _, report := range gone {
		if turns[report.Name] < 2 {
			t.Fatalf("%s had %d turns in %d nights", report.Name, turns[report.Name], nights)
		}
	}
	if few := gone[:maxVanished]; len(lookedInto(slices.Clone(few), "any")) != maxVanished {
		t.Error("all are looked into where that is possible")
	}
}

func TestAScopeIsThatOfWhatIsLookedForAndOfNothingElse(t *testing.T) {
	scope := func(w *scanWrapper) string { s := resolve(&w.Spec); return s.scope() }
	same := scope(makeScan())
	for name, w := range map[string]*scanWrapper{
		"asked to run again": makeScan().annotation(v1alpha1.AnnotationRescanAt, "now"),
		"other documents":    makeScan().with(func(s *v1alpha1.SIFScan) { s.Spec.Scanner.Formats = []v1alpha1.Format{v1alpha1.FormatSPDX} }),
		"another name":       makeScan().with(func(s *v1alpha1.SIFScan) { s.Name = "tomorrow" }),
		"defaults written":   makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.Paths = []v1alpha1.PathPattern{"**"} }),
	} {
		if got := scope(w); got != same {
			t.Errorf("%s: another scope", name)
		}
	}
	for name, w := range map[string]*scanWrapper{
		"other paths":      makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.Paths = []v1alpha1.PathPattern{"a"} }),
		"something less":   makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.Exclude = []v1alpha1.PathPattern{"a"} }),
		"other names":      makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.FileNames = []v1alpha1.NamePattern{"*.sif"} }),
		"another folder":   makeScan().volume(func(v *v1alpha1.VolumeTarget) { v.SubPath = "a" }),
		"another engine":   makeScan().with(withTrivy),
		"other scan types": makeScan().with(func(s *v1alpha1.SIFScan) { s.Spec.Scanner.ScanTypes = []v1alpha1.ScanType{v1alpha1.ScanPackages} }),
	} {
		if got := scope(w); got == same || got == "" {
			t.Errorf("%s: scope %q", name, got)
		}
	}
	list := makeScan().with(func(s *v1alpha1.SIFScan) {
		s.Spec.Target = v1alpha1.Target{List: &v1alpha1.ListTarget{Volumes: []v1alpha1.ListVolume{{ClaimName: "shared", MountPath: "/shared"}}}}
	})
	if got := scope(list); got != "" {
		t.Errorf("a list has the scope %q", got)
	}
	if args := strings.Join(JobInputs{Scan: makeScan().obj(), ClaimUIDs: []types.UID{claimUID}}.reporterArgs(), " "); !strings.Contains(args, "--scope="+same) {
		t.Errorf("the reporter is not told: %s", args)
	}
}
