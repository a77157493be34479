// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"time"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// AnnotationKeys are the annotations that a new scan of an image replaces.
var AnnotationKeys = []string{
	v1alpha1.AnnotationIdentity, v1alpha1.AnnotationOutcome, v1alpha1.AnnotationPackages,
	v1alpha1.AnnotationCounts, v1alpha1.AnnotationFixable, v1alpha1.AnnotationDatabase, v1alpha1.AnnotationArtifacts,
	v1alpha1.AnnotationStore, v1alpha1.AnnotationDocument, v1alpha1.AnnotationNotKept, v1alpha1.AnnotationFirstSeen,
	v1alpha1.AnnotationPolicy, v1alpha1.AnnotationSecrets, v1alpha1.AnnotationScope,
}

// Annotations returns what the metadata of a report tells, so that thousands of reports can be
// counted without reading one.
func Annotations(r *v1alpha1.Report) map[string]string {
	a := map[string]string{v1alpha1.AnnotationOutcome: v1alpha1.OutcomeScanned}
	if r.Outcome.Reason != "" {
		a[v1alpha1.AnnotationOutcome] = r.Outcome.Reason
	}
	s := r.Summary
	if s == nil {
		return a
	}
	a[v1alpha1.AnnotationPackages] = fmt.Sprintf("%d/%d", s.Packages, s.NotAssessed)
	if s.Critical != nil && s.High != nil && s.Medium != nil && s.Low != nil && s.Unknown != nil {
		a[v1alpha1.AnnotationCounts] = fmt.Sprintf("%d/%d/%d/%d/%d", *s.Critical, *s.High, *s.Medium, *s.Low, *s.Unknown)
	}
	if s.Secrets != nil {
		a[v1alpha1.AnnotationSecrets] = fmt.Sprint(*s.Secrets)
	}
	if db := r.Scanner.Database; db != nil && db.UpdatedAt != nil {
		a[v1alpha1.AnnotationDatabase] = db.UpdatedAt.UTC().Format(time.RFC3339)
	}
	return a
}

// ValidPolicy reports whether text is a verdict of an engine's own policy.
func ValidPolicy(text string) bool {
	return text == v1alpha1.ReasonPolicyDenied || text == v1alpha1.ReasonPolicyAudit
}
