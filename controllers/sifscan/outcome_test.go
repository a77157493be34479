// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

var judgedAt = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const someJob = "shared-images-979ab1d1e7cee518"

func tallied(inventories ...*inventoryWrapper) *tally {
	t := newTally()
	for _, i := range inventories {
		t.add(someJob, &i.ScanInventory)
	}
	return t
}

func summed(t *tally, reports ...*metav1.PartialObjectMetadata) *summing {
	s := newSumming(t.reports, nil)
	for _, r := range reports {
		s.add(r)
	}
	return s
}

func TestJudge(t *testing.T) {
	chunk := func(n int32) *inventoryWrapper { return makeInventory(someJob, 0, n) }
	assessed := makeReport("sr-0.sif", v1alpha1.AnnotationPackages, "100/0", v1alpha1.AnnotationCounts, "0/0/0/0/0")
	plain := makeReport("sr-0.sif", v1alpha1.AnnotationPackages, "100/100")
	plain1 := makeReport("sr-1.sif", v1alpha1.AnnotationPackages, "1/1")
	for _, tc := range []struct {
		name    string
		tally   *tally
		reports []*metav1.PartialObjectMetadata
		verdict verdict
		want    health
	}{
		{"every image read and assessed",
			tallied(chunk(0).total(1).entries(1, v1alpha1.EntryScanned)), []*metav1.PartialObjectMetadata{assessed}, verdict{},
			finished(v1alpha1.ReasonSucceeded, "1 image: 1 scanned")},
		{"the database says nothing on some packages",
			tallied(chunk(0).total(1).entries(1, v1alpha1.EntryScanned)),
			[]*metav1.PartialObjectMetadata{makeReport("sr-0.sif", v1alpha1.AnnotationPackages, "100/5", v1alpha1.AnnotationCounts, "0/0/0/0/0")}, verdict{},
			finished(v1alpha1.ReasonPartiallyAssessed, "1 image: 1 scanned; the vulnerability database says nothing on 5 packages")},
		{"the database was not fed for a week",
			tallied(chunk(0).total(1).entries(1, v1alpha1.EntryScanned)),
			[]*metav1.PartialObjectMetadata{makeReport("sr-0.sif", v1alpha1.AnnotationPackages, "100/0", v1alpha1.AnnotationCounts, "0/0/0/0/0",
				v1alpha1.AnnotationDatabase, judgedAt.Add(-8*24*time.Hour).Format(time.RFC3339))}, verdict{},
			finished(v1alpha1.ReasonDatabaseStale, "1 image: 1 scanned; the newest record of a vulnerability database is 8 days old")},
		{"documents could not be kept",
			tallied(chunk(0).total(1).entries(1, v1alpha1.EntryUnchanged)),
			[]*metav1.PartialObjectMetadata{makeReport("sr-0.sif", v1alpha1.AnnotationPackages, "100/0", v1alpha1.AnnotationCounts, "0/0/0/0/0",
				v1alpha1.AnnotationNotKept, "true")}, verdict{},
			finished(v1alpha1.ReasonArtifactsNotKept, "1 image: 1 unchanged; documents of 1 image are not kept: each ScanReport says why")},
		{"documents could not be kept, and nothing was assessed, which is said first",
			tallied(chunk(0).total(1).entries(1, v1alpha1.EntryScanned)),
			[]*metav1.PartialObjectMetadata{makeReport("sr-0.sif", v1alpha1.AnnotationPackages, "100/100", v1alpha1.AnnotationNotKept, "true")}, verdict{},
			finished(v1alpha1.ReasonNotAssessed, "1 image: 1 scanned; 100 packages were inventoried, and no vulnerability database matched them: their findings are unknown, not zero; "+
				"documents of 1 image are not kept: each ScanReport says why")},
		{"no database: the findings are unknown, not zero",
			tallied(chunk(0).total(2).entries(1, v1alpha1.EntryScanned).entries(1, v1alpha1.EntryUnchanged)),
			[]*metav1.PartialObjectMetadata{plain, plain1}, verdict{},
			finished(v1alpha1.ReasonNotAssessed, "2 images: 1 scanned, 1 unchanged; 101 packages were inventoried, and no vulnerability database matched them: their findings are unknown, not zero")},
		{"some images could not be read",
			tallied(chunk(0).total(4).entries(1, v1alpha1.EntryScanned).entries(2, v1alpha1.EntryFailed).entries(1, v1alpha1.EntryUnsupported)),
			[]*metav1.PartialObjectMetadata{assessed}, verdict{},
			health{cause: cause{v1alpha1.ReasonDegraded, "4 images: 1 scanned, 2 failed, 1 unsupported"}, ready: true, complete: true,
				degraded: "3 of 4 images could not be read (2 failed, 1 unsupported): each ScanReport says why"}},
		{"no image could be read: never a success by another name",
			tallied(chunk(0).total(1).entries(1, v1alpha1.EntryFailed)), nil, verdict{},
			health{cause: cause{v1alpha1.ReasonDegraded, "1 image: 1 failed"}, ready: true, complete: true,
				degraded: "1 of 1 image could not be read (1 failed, 0 unsupported): each ScanReport says why"}},
		{"some files were denied or changed",
			tallied(chunk(0).total(4).entries(1, v1alpha1.EntryScanned).entries(1, v1alpha1.EntryDenied).entries(2, v1alpha1.EntryChanging)),
			[]*metav1.PartialObjectMetadata{assessed}, verdict{},
			health{cause: cause{v1alpha1.ReasonPartial, "4 images: 1 scanned, 1 denied, 2 changing"}, ready: true, complete: true,
				partial: "1 file or directory may not be read by the scan's user: 1.sif; 2 images changed while being read, the next run tries again: 2.sif, 3.sif"}},
		{"images that failed weigh more than files that were denied",
			tallied(chunk(0).total(3).entries(1, v1alpha1.EntryScanned).entries(1, v1alpha1.EntryFailed).entries(1, v1alpha1.EntryDenied)),
			[]*metav1.PartialObjectMetadata{assessed}, verdict{},
			health{cause: cause{v1alpha1.ReasonDegraded, "3 images: 1 scanned, 1 failed, 1 denied"}, ready: true, complete: true,
				degraded: "1 of 3 images could not be read (1 failed, 0 unsupported): each ScanReport says why",
				partial:  "1 file or directory may not be read by the scan's user: 2.sif"}},
		{"where nothing was assessed, images that failed are still the reason: Ready says what Degraded does",
			tallied(chunk(0).total(2).entries(1, v1alpha1.EntryScanned).entries(1, v1alpha1.EntryFailed)),
			[]*metav1.PartialObjectMetadata{plain}, verdict{},
			health{cause: cause{v1alpha1.ReasonDegraded, "2 images: 1 scanned, 1 failed; 100 packages were inventoried, and no vulnerability database matched them: their findings are unknown, not zero"},
				ready: true, complete: true, degraded: "1 of 2 images could not be read (1 failed, 0 unsupported): each ScanReport says why"}},
		{"where nothing was assessed, files that were denied are still the reason",
			tallied(chunk(0).total(2).entries(1, v1alpha1.EntryScanned).entries(1, v1alpha1.EntryDenied)),
			[]*metav1.PartialObjectMetadata{plain}, verdict{},
			health{cause: cause{v1alpha1.ReasonPartial, "2 images: 1 scanned, 1 denied; 100 packages were inventoried, and no vulnerability database matched them: their findings are unknown, not zero"},
				ready: true, complete: true, partial: "1 file or directory may not be read by the scan's user: 1.sif"}},
		{"nothing found: the scanner's words",
			tallied(chunk(0).total(0)), nil, verdict{v1alpha1.ReasonNoTargets, "x.sif is not there"},
			stalled(v1alpha1.ReasonNoTargets, "x.sif is not there")},
		{"nothing found: a path that was written and does not exist is no image",
			tallied(chunk(0).total(1).entries(1, v1alpha1.EntryFailed)), nil, verdict{v1alpha1.ReasonNoTargets, "x.sif is not there"},
			stalled(v1alpha1.ReasonNoTargets, "x.sif is not there")},
		{"a scanner cannot say that images which were read are none",
			tallied(chunk(0).total(1).entries(1, v1alpha1.EntryScanned)), []*metav1.PartialObjectMetadata{assessed}, verdict{v1alpha1.ReasonNoTargets, "x"},
			finished(v1alpha1.ReasonSucceeded, "1 image: 1 scanned")},
		{"nothing found, and the scanner's words are lost",
			tallied(chunk(0).total(0)), nil, verdict{},
			stalled(v1alpha1.ReasonNoTargets, "nothing to scan in claim shared: check spec.target.volume.paths (**), exclude and fileNames")},
		{"the root may not be read",
			tallied(chunk(0).total(0)), nil, verdict{v1alpha1.ReasonPermissionDenied, "the volume's root may not be read by uid 65532"},
			stalled(v1alpha1.ReasonPermissionDenied, "the volume's root may not be read by uid 65532; ask an administrator for the annotations sifscan.io/run-as-user and sifscan.io/run-as-group on this Namespace, or for other permissions on the volume")},
		{"everything was denied",
			tallied(chunk(0).total(2).entries(2, v1alpha1.EntryDenied)), nil, verdict{},
			stalled(v1alpha1.ReasonPermissionDenied, "2 files and directories of claim shared may not be read by the scan's user; ask an administrator for the annotations sifscan.io/run-as-user and sifscan.io/run-as-group on this Namespace, or for other permissions on the volume")},
		{"a scanner cannot turn images that were read into a denial",
			tallied(chunk(0).total(1).entries(1, v1alpha1.EntryScanned)), []*metav1.PartialObjectMetadata{assessed}, verdict{v1alpha1.ReasonPermissionDenied, "x"},
			finished(v1alpha1.ReasonSucceeded, "1 image: 1 scanned")},
		{"no inventory", tallied(), nil, verdict{v1alpha1.ReasonNoTargets, "x"},
			stalled(v1alpha1.ReasonReportUnavailable, "the scan's Job completed, but not every target is accounted for: it left no ScanInventory; set the annotation sifscan.io/rescan-at to a new value to scan again")},
		{"never listed", tallied(chunk(0).entries(1, v1alpha1.EntryScanned)), []*metav1.PartialObjectMetadata{assessed}, verdict{},
			stalled(v1alpha1.ReasonReportUnavailable, "the scan's Job completed, but not every target is accounted for: worker 0 never said how many targets it has; set the annotation sifscan.io/rescan-at to a new value to scan again")},
		{"an image without outcome", tallied(chunk(0).total(2).entries(1, v1alpha1.EntryScanned)), []*metav1.PartialObjectMetadata{assessed}, verdict{},
			stalled(v1alpha1.ReasonReportUnavailable, "the scan's Job completed, but not every target is accounted for: worker 0 had 2 targets and its ScanInventories have 1; set the annotation sifscan.io/rescan-at to a new value to scan again")},
		{"a report that is not there", tallied(chunk(0).total(2).entries(2, v1alpha1.EntryScanned)), []*metav1.PartialObjectMetadata{assessed}, verdict{},
			stalled(v1alpha1.ReasonReportUnavailable, "1 ScanReport is missing of this run: it may have been deleted; set the annotation sifscan.io/rescan-at to a new value to scan again")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := judge(evidence{settings: resolve(&makeScan().Spec), tally: tc.tally, sum: summed(tc.tally, tc.reports...), verdict: tc.verdict, now: judgedAt})
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(health{}, cause{})); diff != "" {
				t.Errorf("judge (-want +got):\n%s", diff)
			}
		})
	}
}
