// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/node-agent/volume"
)

// on is the shelf as a volume that users see at a path, and files of it.
func (s *shelf) on(mountPath string, files ...string) scan.Volume {
	s.t.Helper()
	root, err := volume.OpenRoot(s.dir, mountPath)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { root.Close() })
	v := scan.Volume{Root: root}
	if len(files) > 0 {
		v.Spec = &volume.Spec{Files: files}
	}
	return v
}

func TestTargetsOnSeveralVolumesAreNamedAsUsersKnowThem(t *testing.T) {
	wanted := scan.Wanted{
		Volumes: []scan.Volume{
			newShelf(t).image("a.sif").on("/first", "a.sif", "gone.sif"),
			newShelf(t).image("not-asked-for.sif").on("/second"),
			newShelf(t).image("sub/a.sif").on("/third", "sub/a.sif"),
		},
		Misplaced: []scan.Misplaced{{Line: "/no\nwhere", Message: "line 3 is on none of the volumes"}},
	}
	to := newSink()
	verdict, err := newScanner(t).Run(context.Background(), wanted, nil, to)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"/first/a.sif": "", "/third/sub/a.sif": "", "/first/gone.sif": v1alpha1.ReasonNoTargets, `/no\x0awhere`: v1alpha1.ReasonNoTargets,
	}
	if diff := cmp.Diff(want, to.reasons()); diff != "" || verdict.Total() != 4 || to.total != 4 || verdict.Reason != "" {
		t.Errorf("verdict %+v, listed %d (-want +got):\n%s", verdict, to.total, diff)
	}
	for name, at := range map[string]scan.Place{
		"/third/sub/a.sif": {Volume: 2, Path: "sub/a.sif", Name: "/third/sub/a.sif"},
		`/no\x0awhere`:     {Volume: handover.NoVolume, Path: "/no\nwhere", Name: `/no\x0awhere`},
	} {
		if got := to.results[name].Place; got != at {
			t.Errorf("%s is at %+v, want %+v", name, got, at)
		}
	}
}

func TestWhatIsUnchangedIsKnownByItsVolume(t *testing.T) {
	first, second := newShelf(t).image("a.sif"), newShelf(t).image("a.sif")
	wanted := scan.Wanted{Volumes: []scan.Volume{first.on("/first", "a.sif"), second.on("/second", "a.sif")}}
	before := newSink()
	if _, err := newScanner(t).Run(context.Background(), wanted, nil, before); err != nil {
		t.Fatal(err)
	}
	name := report.Subject{ClaimUID: "two", Path: "deep/a.sif", Engine: native.Name, ScanTypes: []string{"pkg"}}.Name()
	known := &handover.Knowledge{
		Volumes: []handover.KnownVolume{{ClaimUID: "one"}, {ClaimUID: "two", SubPath: "deep"}},
		Reports: map[string]string{name: before.results["/second/a.sif"].Identity},
		Entries: map[string]handover.KnownEntry{},
	}
	to := newSink()
	if _, err := newScanner(t).Run(context.Background(), wanted, known, to); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/first/a.sif"}, to.begun); diff != "" || to.notes["/second/a.sif"] != v1alpha1.EntryUnchanged || to.reports["/second/a.sif"] != name {
		t.Errorf("notes %v with %v; opened (-want +got):\n%s", to.notes, to.reports, diff)
	}
}

func TestNothingToScanSaysWhatWasWanted(t *testing.T) {
	to := newSink()
	verdict, err := newScanner(t).Run(context.Background(), scan.Wanted{Volumes: []scan.Volume{newShelf(t).on("/v", "gone.sif")}}, nil, to)
	if err != nil || verdict.Reason != v1alpha1.ReasonNoTargets || verdict.Message == "" || verdict.Total() != 1 {
		t.Errorf("verdict %+v, %v", verdict, err)
	}
}
