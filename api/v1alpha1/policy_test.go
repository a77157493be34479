// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestAPolicyJudgesAnImage(t *testing.T) {
	critical := func(n int32) *Policy { return &Policy{MaxCritical: ptr.To(n)} }
	for name, c := range map[string]struct {
		policy       *Policy
		all, fixable []int32
		want         metav1.ConditionStatus
	}{
		"as many as it allows":                  {critical(2), []int32{2, 99}, []int32{2, 99}, metav1.ConditionTrue},
		"one more critical":                     {critical(2), []int32{3, 0}, nil, metav1.ConditionFalse},
		"one more high":                         {&Policy{MaxHigh: ptr.To[int32](0)}, []int32{99, 1}, nil, metav1.ConditionFalse},
		"nobody counted":                        {critical(99), nil, nil, metav1.ConditionUnknown},
		"nobody counted, but for those fixed":   {&Policy{MaxCritical: ptr.To[int32](0), OnlyFixable: true}, nil, []int32{1, 1}, metav1.ConditionUnknown},
		"only those with a fix":                 {&Policy{MaxCritical: ptr.To[int32](0), OnlyFixable: true}, []int32{9, 9}, []int32{0, 9}, metav1.ConditionTrue},
		"one with a fix too many":               {&Policy{MaxCritical: ptr.To[int32](0), OnlyFixable: true}, []int32{9, 9}, []int32{1, 0}, metav1.ConditionFalse},
		"only those with a fix, nobody counted": {&Policy{MaxCritical: ptr.To[int32](0), OnlyFixable: true}, []int32{9, 9}, nil, metav1.ConditionUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.policy.Judge(c.all, c.fixable); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestAPolicySaysOfWhatThereIsTooMuch(t *testing.T) {
	both := Policy{MaxCritical: ptr.To[int32](0), MaxHigh: ptr.To[int32](5)}
	fixable := both
	fixable.OnlyFixable = true
	for name, c := range map[string]struct {
		policy       Policy
		all, fixable []int32
		want         string
	}{
		"of both":               {both, []int32{2, 6}, nil, "2 critical (allowed: 0), 6 high (allowed: 5)"},
		"of one":                {both, []int32{0, 6}, nil, "6 high (allowed: 5)"},
		"of none":               {both, []int32{0, 5}, nil, ""},
		"of those with a fix":   {fixable, []int32{9, 9}, []int32{1, 5}, "1 critical with a fix (allowed: 0)"},
		"of what nobody counts": {both, nil, nil, ""},
		"without a limit":       {Policy{}, []int32{9, 9}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.policy.Excess(c.all, c.fixable); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
