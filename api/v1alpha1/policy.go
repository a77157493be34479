// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Judge says whether an image is within the policy, by the numbers of its critical and high
// findings: of all, and of those with a fix. Nil numbers are not known, and what is not known is
// neither within a policy nor beyond it.
func (p *Policy) Judge(all, fixable []int32) metav1.ConditionStatus {
	if p.OnlyFixable && all != nil {
		all = fixable
	}
	switch {
	case len(all) < 2:
		return metav1.ConditionUnknown
	case over(p.MaxCritical, all[0]) || over(p.MaxHigh, all[1]):
		return metav1.ConditionFalse
	}
	return metav1.ConditionTrue
}

func over(limit *int32, n int32) bool { return limit != nil && n > *limit }
