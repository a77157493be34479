// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// judged is what spec.policy says of a run's images; nil where there is no policy.
type judged struct {
	policy *v1alpha1.Policy
	// denied are reports of images beyond the policy; the first few by name.
	denied int
	names  []string
	// unknown images were not assessed, and so are neither within the policy nor beyond it.
	unknown int
}

// maxDeniedNames in the condition's message; kubectl get scanreport shows all.
const maxDeniedNames = 5

// image judges one image: the numbers of its critical and high findings, and of those with a fix.
func (j *judged) image(report string, counts, fixable []int32) {
	if j == nil {
		return
	}
	if counts == nil || j.policy.OnlyFixable && fixable == nil {
		j.unknown++
		return
	}
	if j.policy.OnlyFixable {
		counts = fixable
	}
	if !over(j.policy.MaxCritical, counts[0]) && !over(j.policy.MaxHigh, counts[1]) {
		return
	}
	if j.denied++; len(j.names) < maxDeniedNames {
		j.names = append(j.names, report)
	}
}

func over(limit *int32, n int32) bool { return limit != nil && n > *limit }

// condition is PolicyPassed. An image beyond the policy denies the run whatever the others are;
// an image that nobody assessed must not let it pass.
func (j *judged) condition(unread int32) *metav1.Condition {
	if j == nil {
		return nil
	}
	c := &metav1.Condition{Type: v1alpha1.ConditionPolicyPassed}
	switch {
	case j.denied > 0:
		c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonPolicyDenied
		c.Message = fmt.Sprintf("%s more findings than spec.policy allows: %s", counted(j.denied, "image has", "images have"), strings.Join(j.names, ", "))
		if more := j.denied - len(j.names); more > 0 {
			c.Message += fmt.Sprintf(" and %d more", more)
		}
	case j.unknown > 0:
		c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonNotAssessed
		c.Message = fmt.Sprintf("%s not matched with a vulnerability database", counted(j.unknown, "image was", "images were"))
	case unread > 0:
		c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonPartiallyAssessed
		c.Message = fmt.Sprintf("every image that was read is within spec.policy, and %d could not be read", unread)
	default:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonSucceeded
		c.Message = "every image is within spec.policy"
	}
	return c
}
