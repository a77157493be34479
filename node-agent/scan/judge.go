// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// judge judges the image by the policy, as the controller judges the images of a SIFScan.
func (r *Result) judge(p *v1alpha1.Policy) {
	if p == nil {
		return
	}
	var all, fixable []int32
	if c := r.Counted; c != nil {
		all, fixable = []int32{c.Critical, c.High}, []int32{c.FixableCritical, c.FixableHigh}
	}
	r.Judged, r.Excess = p.Judge(all, fixable), p.Excess(all, fixable)
}

// denied tells whether a policy, ours or the engine's own, denies the image.
func (r *Result) denied() bool {
	return r.Policy == v1alpha1.ReasonPolicyDenied || r.Judged == metav1.ConditionFalse
}

// unjudged tells that there is a policy and nothing to judge by: that is no image that passed.
func (r *Result) unjudged() bool { return r.Judged == metav1.ConditionUnknown }

// line says in one line what came of the image.
func (r *Result) line() string {
	var said []string
	add := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	s := r.Report.Summary
	if c := r.Counted; c != nil {
		add("%d critical, %d high, %d medium, %d low, %d of unknown severity", c.Critical, c.High, c.Medium, c.Low, c.Unknown)
	} else if s != nil {
		add("no package was matched with a vulnerability database")
	}
	if r.Counted != nil && s.NotAssessed > 0 {
		add("%d of the packages not assessed", s.NotAssessed)
	}
	if s != nil && s.Secrets != nil {
		add("%d secrets", *s.Secrets)
	}
	if r.Policy != "" {
		add("%s", r.Policy)
	}
	switch r.Judged {
	case metav1.ConditionTrue:
		add("within the policy")
	case metav1.ConditionFalse:
		add("%s: %s", v1alpha1.ReasonPolicyDenied, r.Excess)
	case metav1.ConditionUnknown:
		add("%s: the policy cannot be judged", v1alpha1.ReasonNotAssessed)
	}
	return strings.Join(said, "; ")
}
