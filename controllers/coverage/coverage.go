// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package coverage keeps what SIFScans and ScanSchedules tell of which images were checked: the condition Covered, of the last
// run that ended, and lastFullCoverageTime, of the last one that checked every image.
package coverage

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Set puts what a newer run came to in the place of the condition that is there.
func Set(conditions *[]metav1.Condition, newer metav1.Condition) {
	newer.Type = v1alpha1.ConditionCovered
	// Anew, or a condition that stays true would keep the time of the first run.
	meta.RemoveStatusCondition(conditions, v1alpha1.ConditionCovered)
	meta.SetStatusCondition(conditions, newer)
}

// Of returns the condition; nil where there is none.
func Of(conditions []metav1.Condition) *metav1.Condition {
	return meta.FindStatusCondition(conditions, v1alpha1.ConditionCovered)
}

// Later is the later of two times, of which nil is never.
func Later(a, b *metav1.Time) *metav1.Time {
	if a == nil || a.Before(b) {
		return b.DeepCopy()
	}
	return a
}
