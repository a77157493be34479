// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestTallyAddsUpChunksInAnyOrder(t *testing.T) {
	first := makeInventory(someJob, 0, 0).total(6).
		entries(1, v1alpha1.EntryScanned).entries(1, v1alpha1.EntryUnchanged).entries(1, v1alpha1.EntryFailed)
	second := makeInventory(someJob, 0, 1).total(4). // written before the last look at the volume
								entries(1, v1alpha1.EntryUnsupported).entries(1, v1alpha1.EntryDenied).entries(1, v1alpha1.EntryChanging)
	want := v1alpha1.TargetCounts{Discovered: 6, Scanned: 1, Unchanged: 1, Failed: 1, Unsupported: 1, Denied: 1, Changing: 1}
	for name, order := range map[string][]*inventoryWrapper{
		"the first chunk first": {first, second}, "the first chunk last": {second, first},
	} {
		t.Run(name, func(t *testing.T) {
			got := tallied(order...)
			if diff := cmp.Diff(want, got.targets); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
			if got.chunks != 2 || got.done() != 6 || got.defect() != "" {
				t.Errorf("chunks %d, done %d, defect %q", got.chunks, got.done(), got.defect())
			}
		})
	}
}

func TestTallyCountsNothingThatIsNotTheReportersOwn(t *testing.T) {
	got := tallied(
		makeInventory("another-job", 0, 0).total(1).entries(1, v1alpha1.EntryScanned),
		makeInventory(someJob, 1, 0).total(1).entries(1, v1alpha1.EntryScanned), // a worker that this Job has not
	)
	if got.chunks != 0 || got.done() != 0 || len(got.reports) != 0 {
		t.Errorf("chunks %d, done %d, reports %v", got.chunks, got.done(), got.reports)
	}
}

func TestTallyDefects(t *testing.T) {
	nameless := makeInventory(someJob, 0, 0).total(1).entries(1, v1alpha1.EntryScanned)
	nameless.Entries[0].Report = ""
	unknown := makeInventory(someJob, 0, 0).total(1).entries(1, "perfect")
	for _, tc := range []struct {
		name  string
		tally *tally
		want  string
	}{
		{"a negative total", tallied(makeInventory(someJob, 0, 0).total(-1)), "worker 0 had -1 targets and its ScanInventories have 0"},
		{"more entries than targets", tallied(makeInventory(someJob, 0, 0).total(1).entries(2, v1alpha1.EntryFailed)), "worker 0 had 1 targets and its ScanInventories have 2"},
		{"the first chunk is gone", tallied(makeInventory(someJob, 0, 1).total(1).entries(1, v1alpha1.EntryFailed)), "worker 0 never said how many targets it has"},
		{"an image that was read and has no report", tallied(nameless), "1 scanned image has no report"},
		{"an outcome that we do not know is a failure and no defect", tallied(unknown), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.tally.defect(); got != tc.want {
				t.Errorf("defect = %q, want %q", got, tc.want)
			}
		})
	}
	if n := tallied(unknown).targets.Failed; n != 1 {
		t.Errorf("an unknown outcome counts as %d failures", n)
	}
}

func TestProgressText(t *testing.T) {
	for _, tc := range []struct {
		name  string
		tally *tally
		want  string
	}{
		{"nothing yet", tallied(), "the images are not all listed yet"},
		{"entries before the list is whole", tallied(makeInventory(someJob, 0, 0).entries(1, v1alpha1.EntryScanned)), "the images are not all listed yet"},
		{"on its way", tallied(makeInventory(someJob, 0, 0).total(3).entries(1, v1alpha1.EntryScanned)), "1 of 3 images done"},
		{"one image", tallied(makeInventory(someJob, 0, 0).total(1)), "0 of 1 image done"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := progressText(tc.tally); got != tc.want {
				t.Errorf("progressText = %q, want %q", got, tc.want)
			}
		})
	}
}
