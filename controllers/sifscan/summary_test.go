// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestSummaryAddsUpReportsOfTheRun(t *testing.T) {
	s := &summing{covered: map[string]struct{}{"sr-a": {}, "sr-b": {}, "sr-c": {}, "sr-gone": {}}}
	s.add(makeReport("sr-a", v1alpha1.AnnotationPackages, "100/10", v1alpha1.AnnotationCounts, "1/2/3/4/5"))
	s.add(makeReport("sr-b", v1alpha1.AnnotationPackages, "50/0", v1alpha1.AnnotationCounts, "0/0/1/0/0"))
	s.add(makeReport("sr-c", v1alpha1.AnnotationPackages, "7/7"))
	s.add(makeReport("sr-other", v1alpha1.AnnotationPackages, "1000/0", v1alpha1.AnnotationCounts, "9/9/9/9/9"))
	want := v1alpha1.Summary{
		Critical: ptr.To[int32](1), High: ptr.To[int32](2), Medium: ptr.To[int32](4), Low: ptr.To[int32](4), Unknown: ptr.To[int32](5),
		Packages: 157, NotAssessed: 17,
	}
	if diff := cmp.Diff(want, s.summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if s.missing() != 1 || s.assessed != 2 {
		t.Errorf("missing %d, assessed %d", s.missing(), s.assessed)
	}
}

func TestSecretsAddUpWhetherPackagesWereAssessedOrNot(t *testing.T) {
	for name, tc := range map[string]struct {
		annotations []string
		want        *int32
	}{
		"nobody looked":      {[]string{"", ""}, nil},
		"one image has none": {[]string{"0", ""}, ptr.To[int32](0)},
		"two images":         {[]string{"3", "4"}, ptr.To[int32](7)},
		"words":              {[]string{"three", "-1"}, nil},
		"very many":          {[]string{"2147483647", "1"}, ptr.To[int32](math.MaxInt32)},
	} {
		t.Run(name, func(t *testing.T) {
			s := &summing{covered: map[string]struct{}{"sr-0": {}, "sr-1": {}}}
			for i, secrets := range tc.annotations {
				s.add(makeReport("sr-"+string(rune('0'+i)), v1alpha1.AnnotationPackages, "3/3", v1alpha1.AnnotationSecrets, secrets))
			}
			if diff := cmp.Diff(tc.want, s.summary.Secrets); diff != "" || s.summary.Critical != nil {
				t.Errorf("critical %v, secrets (-want +got):\n%s", s.summary.Critical, diff)
			}
		})
	}
}

func TestSummaryHasNoSeveritiesWhenNothingWasAssessed(t *testing.T) {
	for name, counts := range map[string]string{
		"empty": "", "too few": "0/0/0/0", "too many": "0/0/0/0/0/0", "words": "a/b/c/d/e", "negative": "0/0/0/0/-1", "too large": "99999999999/0/0/0/0",
	} {
		s := &summing{covered: map[string]struct{}{"sr-a": {}}}
		s.add(makeReport("sr-a", v1alpha1.AnnotationPackages, "3/3", v1alpha1.AnnotationCounts, counts))
		if s.summary.Critical != nil || s.assessed != 0 {
			t.Errorf("counts that are %s pass for zero findings", name)
		}
		if s.summary.Packages != 3 {
			t.Errorf("counts that are %s take the packages with them", name)
		}
	}
}

func TestSummaryDoesNotOverflow(t *testing.T) {
	s := &summing{covered: map[string]struct{}{"sr-a": {}, "sr-b": {}}}
	for _, name := range []string{"sr-a", "sr-b"} {
		s.add(makeReport(name, v1alpha1.AnnotationPackages, "2147483647/0"))
	}
	if s.summary.Packages != math.MaxInt32 {
		t.Errorf("packages = %d", s.summary.Packages)
	}
}
