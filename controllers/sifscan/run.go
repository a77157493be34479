// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// runVersion is the version of the normalisation below. Changing it starts every SIFScan of
// every cluster anew at the operator's next upgrade.
const runVersion = "v1-"

// RunID names the run that a SIFScan asks for: a hash of the settings and of the annotation
// sifscan.io/rescan-at. The same id is never run twice in a row.
//
// A setting that equals its default takes no part, so a field added later leaves the ids of
// all existing SIFScans as they are. Lists are sets here: their order changes nothing in what
// is scanned.
func RunID(scan *v1alpha1.SIFScan) string {
	defaults := resolve(&v1alpha1.SIFScanSpec{})
	s := resolve(&scan.Spec)
	for _, list := range []struct{ value, fallback *[]string }{
		{&s.Paths, &defaults.Paths},
		{&s.Exclude, &defaults.Exclude},
		{&s.FileNames, &defaults.FileNames},
		{&s.Formats, &defaults.Formats},
		{&s.Reports, &defaults.Reports},
		{&s.ScanTypes, &defaults.ScanTypes},
		{&s.ExcludeDirs, &defaults.ExcludeDirs},
	} {
		if *list.value = asSet(*list.value); slices.Equal(*list.value, asSet(*list.fallback)) {
			*list.value = nil
		}
	}
	drop(&s.MountPath, defaults.MountPath)
	drop(&s.Engine, defaults.Engine)
	drop(&s.Timeout, defaults.Timeout)
	drop(&s.Rescan, defaults.Rescan)
	drop(&s.Artifacts, defaults.Artifacts)
	if *s.MaxFindings == *defaults.MaxFindings {
		s.MaxFindings = nil
	}
	if q := s.Qscanner; q != nil {
		drop(&q.Mode, v1alpha1.QscannerGetReport)
		q.PolicyTags = asSet(q.PolicyTags)
	}

	text, err := json.Marshal(struct {
		settings
		RescanAt string `json:"rescanAt,omitempty"`
	}{s, scan.Annotations[v1alpha1.AnnotationRescanAt]})
	if err != nil {
		panic(err) // strings and a number always marshal
	}
	sum := sha256.Sum256(text)
	return runVersion + hex.EncodeToString(sum[:8])
}

func asSet[T ~string](list []T) []T {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

func drop[T comparable](value *T, fallback T) {
	if *value == fallback {
		var zero T
		*value = zero
	}
}
