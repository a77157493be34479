// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

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
