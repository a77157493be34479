// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Seen is when findings of an image were first seen, as its earlier reports tell. Findings go by
// a hash of their key.
type Seen map[string]time.Time

// keyHash is the length of a finding's hash: 40 bits tell the findings of one image apart.
const keyHash = 8

// maxSeen bounds what is remembered of findings that are not listed: about 4 KiB of metadata.
const maxSeen = 256

func hashOf(f *v1alpha1.Finding) string { return Hash(keyHash, f.Key) }

// Learn adds what a report of the image tells: of the findings that it lists, and of those that it
// remembers. The earlier of two times counts.
func (s Seen) Learn(before *v1alpha1.ScanReport) {
	for i := range before.Report.Findings {
		f := &before.Report.Findings[i]
		s.add(hashOf(f), f.FirstSeen.Time)
	}
	for entry := range strings.SplitSeq(before.Annotations[v1alpha1.AnnotationFirstSeen], ",") {
		hash, at, _ := strings.Cut(entry, "=")
		if unix, err := strconv.ParseInt(at, 36, 64); err == nil && len(hash) == keyHash && unix > 0 {
			s.add(hash, time.Unix(unix, 0))
		}
	}
}

func (s Seen) add(hash string, at time.Time) {
	if have, ok := s[hash]; !at.IsZero() && (!ok || at.Before(have)) {
		s[hash] = at
	}
}

// Apply gives each finding the time when it was first seen.
func (s Seen) Apply(r *v1alpha1.Report) {
	for i := range r.Findings {
		f := &r.Findings[i]
		if at, ok := s[hashOf(f)]; ok && at.Before(f.FirstSeen.Time) {
			f.FirstSeen = metav1.NewTime(at)
		}
	}
}

// Remember returns the value of v1alpha1.AnnotationFirstSeen for the report listed, which was cut
// from all: when the findings were first seen that it does not list and that may come back. Those
// are the ones that were found and are cut off, and, unless the whole image was read and matched,
// those that were not found. The oldest come first, and of very many only they are remembered.
func (s Seen) Remember(all, listed *v1alpha1.Report) string {
	gone := map[string]bool{}
	if assessed(all) {
		for hash := range s {
			gone[hash] = true
		}
		for i := range all.Findings {
			delete(gone, hashOf(&all.Findings[i]))
		}
	}
	for i := range listed.Findings {
		gone[hashOf(&listed.Findings[i])] = true
	}
	var keep []string
	for hash := range s {
		if !gone[hash] {
			keep = append(keep, hash)
		}
	}
	slices.SortFunc(keep, func(a, b string) int { return cmp.Or(s[a].Compare(s[b]), strings.Compare(a, b)) })
	keep = keep[:min(len(keep), maxSeen)]
	for i, hash := range keep {
		keep[i] = hash + "=" + strconv.FormatInt(s[hash].Unix(), 36)
	}
	return strings.Join(keep, ",")
}

// assessed says whether a finding that is not in the report is not in the image.
func assessed(r *v1alpha1.Report) bool {
	return r.Outcome.Reason == "" && r.Outcome.Coverage == v1alpha1.CoverageComplete &&
		r.Summary != nil && r.Summary.Critical != nil && r.Truncated == 0
}
