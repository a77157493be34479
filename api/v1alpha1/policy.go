// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Judge says whether an image is within the policy, by the numbers of its critical and high
// findings: of all, and of those with a fix. Nil numbers are not known, and what is not known is
// neither within a policy nor beyond it.
func (p *Policy) Judge(all, fixable []int32) metav1.ConditionStatus {
	switch counts := p.counts(all, fixable); {
	case len(counts) < 2:
		return metav1.ConditionUnknown
	case p.Excess(all, fixable) != "":
		return metav1.ConditionFalse
	}
	return metav1.ConditionTrue
}

// Excess says of which findings an image has more than the policy allows, such as "2 critical
// (allowed: 0)"; empty where of none.
func (p *Policy) Excess(all, fixable []int32) string {
	counts, kind := p.counts(all, fixable), ""
	if len(counts) < 2 {
		return ""
	}
	if p.OnlyFixable {
		kind = " with a fix"
	}
	var over []string
	for i, limit := range []*int32{p.MaxCritical, p.MaxHigh} {
		if limit != nil && counts[i] > *limit {
			over = append(over, fmt.Sprintf("%d %s%s (allowed: %d)", counts[i], []string{"critical", "high"}[i], kind, *limit))
		}
	}
	return strings.Join(over, ", ")
}

// counts are the numbers that the policy is about; nil where they are not known.
func (p *Policy) counts(all, fixable []int32) []int32 {
	if p.OnlyFixable && all != nil {
		return fixable
	}
	return all
}
