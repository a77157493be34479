// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// reportPage is how many ScanReports' metadata are read at once: about 1 KiB each.
const reportPage = 500

// summing adds up the reports of a run from their annotations.
type summing struct {
	covered map[string]struct{}
	found   int
	// assessed reports have counts: their packages were matched against a database.
	assessed int
	summary  v1alpha1.Summary
	// notKept reports are of images whose documents are not all kept.
	notKept int
	worst   worst
	judged  *judged
	// oldest is the oldest database that a report was matched with.
	oldest time.Time
}

// newSumming adds up the reports that a run covered, and has them judged; nil: by nobody.
func newSumming(covered map[string]struct{}, judged *judged) *summing {
	return &summing{covered: covered, judged: judged}
}

// add counts a report if the run covered it.
func (s *summing) add(report *metav1.PartialObjectMetadata) {
	if _, ok := s.covered[report.Name]; !ok {
		return
	}
	s.found++
	if packages, ok := parseNumbers(report.Annotations[v1alpha1.AnnotationPackages], 2); ok {
		increase(&s.summary.Packages, packages[0])
		increase(&s.summary.NotAssessed, packages[1])
	}
	if secrets, ok := parseNumbers(report.Annotations[v1alpha1.AnnotationSecrets], 1); ok {
		if s.summary.Secrets == nil {
			s.summary.Secrets = new(int32)
		}
		increase(s.summary.Secrets, secrets[0])
	}
	if report.Annotations[v1alpha1.AnnotationNotKept] != "" {
		s.notKept++
	}
	counts, ok := parseNumbers(report.Annotations[v1alpha1.AnnotationCounts], 5)
	fixable, _ := parseNumbers(report.Annotations[v1alpha1.AnnotationFixable], 3)
	s.judged.image(report.Name, report.Annotations[v1alpha1.AnnotationPolicy], counts, fixable)
	if !ok {
		return
	}
	s.assessed++
	s.worst.add(report.Name, counts[0], counts[1])
	if at, err := time.Parse(time.RFC3339, report.Annotations[v1alpha1.AnnotationDatabase]); err == nil && (s.oldest.IsZero() || at.Before(s.oldest)) {
		s.oldest = at
	}
	if fixable != nil {
		if s.summary.Fixable == nil {
			s.summary.Fixable = new(int32)
		}
		increase(s.summary.Fixable, fixable[2])
	}
	for i, field := range []**int32{&s.summary.Critical, &s.summary.High, &s.summary.Medium, &s.summary.Low, &s.summary.Unknown} {
		if *field == nil {
			*field = new(int32)
		}
		increase(*field, counts[i])
	}
}

// missing is how many reports of the run are not there.
func (s *summing) missing() int { return len(s.covered) - s.found }

// eachReport calls fn with the metadata of every ScanReport that the SIFScan's run can have written.
func (r *Reconciler) eachReport(ctx context.Context, scan *v1alpha1.SIFScan, fn func(*metav1.PartialObjectMetadata)) error {
	s := resolve(&scan.Spec)
	for _, selector := range s.reportSelectors() {
		err := eachPage(ctx, r.Live, "ScanReports with "+selector.String(), reportPage, reportMetadataList, func(page *metav1.PartialObjectMetadataList) error {
			for i := range page.Items {
				fn(&page.Items[i])
			}
			return nil
		}, client.InNamespace(scan.Namespace), client.MatchingLabelsSelector{Selector: selector})
		if err != nil {
			return err
		}
	}
	return nil
}

func reportMetadataList() *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ScanReportList"))
	return list
}

// reportSelectors select the reports of the claims that are scanned, and those of what is on no
// claim, which have no such label.
func (s *settings) reportSelectors() []labels.Selector {
	ours := labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})
	narrow := func(op selection.Operator, values ...string) labels.Selector {
		requirement, err := labels.NewRequirement(v1alpha1.LabelClaim, op, values)
		if err != nil {
			panic(err) // LabelValue makes label values
		}
		return ours.Add(*requirement)
	}
	var claims []string
	for _, c := range s.claims() {
		claims = append(claims, v1alpha1.LabelValue(c.name))
	}
	var selectors []labels.Selector
	if len(claims) > 0 {
		selectors = append(selectors, narrow(selection.In, claims...))
	}
	if s.List != nil || s.Image != nil || s.Running != nil {
		selectors = append(selectors, narrow(selection.DoesNotExist))
	}
	return selectors
}

// parseNumbers reads "2/14/30/9/0": exactly n numbers that are not negative.
func parseNumbers(text string, n int) ([]int32, bool) {
	words := strings.Split(text, "/")
	if len(words) != n {
		return nil, false
	}
	numbers := make([]int32, n)
	for i, word := range words {
		v, err := strconv.ParseInt(word, 10, 32)
		if err != nil || v < 0 {
			return nil, false
		}
		numbers[i] = int32(v)
	}
	return numbers, true
}

// increase adds without overflow: a count that is too large stays the largest there is.
func increase(sum *int32, n int32) {
	*sum = int32(min(int64(*sum)+int64(n), math.MaxInt32))
}
