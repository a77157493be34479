// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestPolicyJudgesEachImageByItself(t *testing.T) {
	for _, tc := range []struct {
		name            string
		policy          *v1alpha1.Policy
		reports         []*metav1.PartialObjectMetadata
		unread          int32
		status          metav1.ConditionStatus
		reason, message string
	}{
		{"every image within the limits", &v1alpha1.Policy{MaxCritical: ptr.To[int32](1), MaxHigh: ptr.To[int32](2)},
			reportsWith("1/2/99/99/99", "0/0/0"), 0,
			metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "every image is within spec.policy"},
		{"one critical finding too many", &v1alpha1.Policy{MaxCritical: ptr.To[int32](0)},
			reportsWith("1/0/0/0/0", "0/0/0"), 0,
			metav1.ConditionFalse, v1alpha1.ReasonPolicyDenied, "1 image has more findings than spec.policy allows: sr-0 has 1 critical (allowed: 0)"},
		{"a limit that is not set judges nothing", &v1alpha1.Policy{MaxHigh: ptr.To[int32](0)},
			reportsWith("9/0/0/0/0", "0/0/0"), 0,
			metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "every image is within spec.policy"},
		{"only findings with a fix count where asked for", &v1alpha1.Policy{MaxCritical: ptr.To[int32](0), OnlyFixable: true},
			reportsWith("5/0/0/0/0", "0/0/0"), 0,
			metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "every image is within spec.policy"},
		{"a critical finding with a fix", &v1alpha1.Policy{MaxCritical: ptr.To[int32](0), OnlyFixable: true},
			reportsWith("5/0/0/0/0", "1/0/1"), 0,
			metav1.ConditionFalse, v1alpha1.ReasonPolicyDenied, "1 image has more findings than spec.policy allows: sr-0 has 1 critical with a fix (allowed: 0)"},
		{"an image that nobody assessed does not pass", &v1alpha1.Policy{MaxCritical: ptr.To[int32](0)},
			reportsWith("0/0/0/0/0", "0/0/0", "", ""), 0,
			metav1.ConditionUnknown, v1alpha1.ReasonNotAssessed, "1 image was not matched with a vulnerability database"},
		{"an image beyond the limits outweighs one not assessed", &v1alpha1.Policy{MaxCritical: ptr.To[int32](0)},
			reportsWith("", "", "1/0/0/0/0", "0/0/0"), 0,
			metav1.ConditionFalse, v1alpha1.ReasonPolicyDenied, "1 image has more findings than spec.policy allows: sr-1 has 1 critical (allowed: 0)"},
		{"an image that could not be read does not pass", &v1alpha1.Policy{MaxCritical: ptr.To[int32](0)},
			reportsWith("0/0/0/0/0", "0/0/0"), 2,
			metav1.ConditionUnknown, v1alpha1.ReasonPartiallyAssessed, "every image that was read is within spec.policy, and 2 could not be read"},
		{"the first few are named", &v1alpha1.Policy{MaxHigh: ptr.To[int32](0)},
			reportsWith("0/1/0/0/0", "", "0/1/0/0/0", "", "0/1/0/0/0", "", "0/1/0/0/0", "", "0/1/0/0/0", "", "0/1/0/0/0", "", "0/1/0/0/0", ""), 0,
			metav1.ConditionFalse, v1alpha1.ReasonPolicyDenied, "7 images have more findings than spec.policy allows: sr-0 has 1 high (allowed: 0), sr-1 has 1 high (allowed: 0), " +
				"sr-2 has 1 high (allowed: 0), sr-3 has 1 high (allowed: 0), sr-4 has 1 high (allowed: 0) and 2 more"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			covered := map[string]struct{}{}
			for _, r := range tc.reports {
				covered[r.Name] = struct{}{}
			}
			s := newSumming(covered, judgedBy(&v1alpha1.SIFScanSpec{Policy: tc.policy}))
			for _, r := range tc.reports {
				s.add(r)
			}
			want := &metav1.Condition{Type: v1alpha1.ConditionPolicyPassed, Status: tc.status, Reason: tc.reason, Message: tc.message}
			if diff := cmp.Diff(want, s.judged.condition(tc.unread)); diff != "" {
				t.Errorf("condition (-want +got):\n%s", diff)
			}
		})
	}
}

func TestThePlatformsPolicyJudgesToo(t *testing.T) {
	const denied, audit = v1alpha1.ReasonPolicyDenied, v1alpha1.ReasonPolicyAudit
	evaluate := makeScan().with(everyQscannerSetting).Spec
	both := *evaluate.DeepCopy()
	both.Policy = &v1alpha1.Policy{MaxCritical: ptr.To[int32](0)}
	for _, tc := range []struct {
		name            string
		spec            v1alpha1.SIFScanSpec
		verdicts        []string
		counts          string
		unread          int32
		status          metav1.ConditionStatus
		reason, message string
	}{
		{"no objection", evaluate, []string{"", ""}, "9/9/9/9/9", 0, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "every image is within the platform's policy"},
		{"an image is denied", evaluate, []string{audit, denied}, "0/0/0/0/0", 0, metav1.ConditionFalse, denied,
			"the platform's policy denies 1 image: sr-1; the platform's policy asks for an audit of 1 image: sr-0"},
		{"an audit", evaluate, []string{"", audit}, "0/0/0/0/0", 0, metav1.ConditionFalse, audit, "the platform's policy asks for an audit of 1 image: sr-1"},
		{"an image that could not be read", evaluate, []string{""}, "", 1, metav1.ConditionUnknown, v1alpha1.ReasonPartiallyAssessed,
			"every image that was read is within the platform's policy, and 1 could not be read"},
		{"both policies object", both, []string{denied}, "1/0/0/0/0", 0, metav1.ConditionFalse, denied,
			"1 image has more findings than spec.policy allows: sr-0 has 1 critical (allowed: 0); the platform's policy denies 1 image: sr-0"},
		{"an audit outweighs what was not assessed", both, []string{audit}, "", 0, metav1.ConditionFalse, audit, "the platform's policy asks for an audit of 1 image: sr-0"},
		{"both pass", both, []string{""}, "0/0/0/0/0", 0, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "every image is within spec.policy and the platform's policy"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			covered := map[string]struct{}{}
			s := newSumming(covered, judgedBy(&tc.spec))
			for i, verdict := range tc.verdicts {
				name := fmt.Sprintf("sr-%d", i)
				covered[name] = struct{}{}
				s.add(makeReport(name, v1alpha1.AnnotationCounts, tc.counts, v1alpha1.AnnotationPolicy, verdict))
			}
			want := &metav1.Condition{Type: v1alpha1.ConditionPolicyPassed, Status: tc.status, Reason: tc.reason, Message: tc.message}
			if diff := cmp.Diff(want, s.judged.condition(tc.unread)); diff != "" {
				t.Errorf("condition (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADeniedImageIsNamedByItsPath(t *testing.T) {
	s := newSumming(map[string]struct{}{"sr-0": {}, "sr-1": {}}, judgedBy(&v1alpha1.SIFScanSpec{Policy: &v1alpha1.Policy{MaxCritical: ptr.To[int32](0)}}))
	for _, r := range reportsWith("2/0/0/0/0", "0/0/0", "1/0/0/0/0", "0/0/0") {
		s.add(r)
	}
	err := s.judged.locate(func(report string) (string, error) { // the other was deleted meanwhile
		return map[string]string{"sr-0": "/shared/a.sif"}[report], nil
	})
	const want = "2 images have more findings than spec.policy allows: /shared/a.sif has 2 critical (allowed: 0), sr-1 has 1 critical (allowed: 0)"
	if c := s.judged.condition(0); err != nil || c.Message != want {
		t.Errorf("error %v, message %q, want %q", err, c.Message, want)
	}
	if err := s.judged.locate(func(string) (string, error) { return "", errors.New("the API server is away") }); err == nil {
		t.Error("a report that cannot be read is passed over")
	}
}

func TestAVerdictOfAnotherModeIsNotHeard(t *testing.T) {
	s := newSumming(map[string]struct{}{"sr-0": {}}, judgedBy(&v1alpha1.SIFScanSpec{Policy: &v1alpha1.Policy{MaxCritical: ptr.To[int32](0)}}))
	s.add(makeReport("sr-0", v1alpha1.AnnotationCounts, "0/0/0/0/0", v1alpha1.AnnotationPolicy, v1alpha1.ReasonPolicyDenied))
	if c := s.judged.condition(0); c.Status != metav1.ConditionTrue {
		t.Errorf("got %+v", c)
	}
}

func TestWithoutAPolicyNothingIsJudged(t *testing.T) {
	s := newSumming(map[string]struct{}{"sr-0": {}}, nil)
	s.add(reportsWith("9/9/9/9/9", "9/9/9")[0])
	if c := s.judged.condition(0); c != nil {
		t.Errorf("got %+v", c)
	}
}

func TestTheWorstTenImagesAreNamedMostCriticalFirst(t *testing.T) {
	var w worst
	for i := range int32(30) {
		w.add(fmt.Sprintf("sr-%02d", i), i%3, i)
	}
	if len(w) != maxWorst || w[0].Report != "sr-29" || w[0].Critical != 2 || w[9].Report != "sr-02" {
		t.Errorf("got %+v", w)
	}
	var none worst
	if none.add("sr-a", 0, 0); len(none) != 0 {
		t.Error("an image without critical or high findings is among the worst")
	}
}

// reportsWith makes reports sr-0, sr-1, … from pairs of counts and fixable counts.
func reportsWith(pairs ...string) (out []*metav1.PartialObjectMetadata) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, makeReport(fmt.Sprintf("sr-%d", i/2),
			v1alpha1.AnnotationCounts, pairs[i], v1alpha1.AnnotationFixable, pairs[i+1]))
	}
	return out
}
