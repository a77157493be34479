// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package coverage keeps the condition Covered of SIFScans and ScanSchedules. It tells the share of
// the images that the last run checked, and when every image was last checked: that is its
// transition time while it is true, and the end of its message when it is not.
package coverage

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// since introduces, at the end of the message, when every image was last checked.
const since = "; every image was last checked at "

// Set puts what a newer run came to in the place of the condition that is there, and keeps when
// every image was last checked, which either may know.
func Set(conditions *[]metav1.Condition, newer metav1.Condition) {
	newer.Type = v1alpha1.ConditionCovered
	last := latest(lastFull(Of(*conditions)), lastFull(&newer))
	newer.Message, _, _ = strings.Cut(newer.Message, since)
	if newer.Status != metav1.ConditionTrue && !last.IsZero() {
		newer.Message += since + last.UTC().Format(time.RFC3339)
	}
	// Anew, or a condition that stays true would keep the time of the first run.
	meta.RemoveStatusCondition(conditions, v1alpha1.ConditionCovered)
	meta.SetStatusCondition(conditions, newer)
}

// Of returns the condition; nil where there is none.
func Of(conditions []metav1.Condition) *metav1.Condition {
	return meta.FindStatusCondition(conditions, v1alpha1.ConditionCovered)
}

// lastFull is when every image was last checked, as the condition remembers it; zero where none is
// known.
func lastFull(c *metav1.Condition) time.Time {
	switch {
	case c == nil:
		return time.Time{}
	case c.Status == metav1.ConditionTrue:
		return c.LastTransitionTime.Time
	}
	_, text, _ := strings.Cut(c.Message, since)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
