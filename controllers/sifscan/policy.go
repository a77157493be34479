// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"cmp"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// judged is what policies say of a run's images: spec.policy, and that of an engine which has its own. Nil
// where there is neither.
type judged struct {
	// policy of the SIFScan; nil: the platform's alone.
	policy *v1alpha1.Policy
	// platform: the engine was asked for the verdict of its platform's policies.
	platform bool
	// over are images with more findings than policy allows; denied and audit those of which the
	// platform says so.
	over, denied, audit named
	// unknown images were not assessed, and so are neither within the policy nor beyond it.
	unknown int
}

// judgedBy returns what a run's images are judged with.
func judgedBy(spec *v1alpha1.SIFScanSpec) *judged {
	q := resolve(spec).Qscanner
	j := &judged{policy: spec.Policy, platform: q != nil && q.Mode == v1alpha1.QscannerEvaluatePolicy}
	if j.policy == nil && !j.platform {
		return nil
	}
	return j
}

// named counts images and keeps a few of them; kubectl get scanreport shows all.
type named struct {
	n      int
	images []culprit
}

// culprit is one image: known by its report until the path is read, which metadata does not tell.
type culprit struct{ report, target, excess string }

const maxNames = 5

func (l *named) add(report, excess string) {
	if l.n++; len(l.images) < maxNames {
		l.images = append(l.images, culprit{report: report, excess: excess})
	}
}

func (l *named) String() string {
	names := make([]string, len(l.images))
	for i, o := range l.images {
		names[i] = cmp.Or(o.target, o.report)
		if o.excess != "" {
			names[i] += " has " + o.excess
		}
	}
	text := strings.Join(names, ", ")
	if more := l.n - len(l.images); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// locate finds the paths of the images that will be named.
func (j *judged) locate(targetOf func(report string) (string, error)) (err error) {
	if j == nil {
		return nil
	}
	for _, l := range []*named{&j.over, &j.denied, &j.audit} {
		for i := range l.images {
			if l.images[i].target, err = targetOf(l.images[i].report); err != nil {
				return err
			}
		}
	}
	return nil
}

// image judges one image: the platform's verdict, the numbers of its critical and high findings, and of
// those with a fix.
func (j *judged) image(report, verdict string, counts, fixable []int32) {
	if j == nil {
		return
	}
	switch {
	case j.platform && verdict == v1alpha1.ReasonPolicyDenied:
		j.denied.add(report, "")
	case j.platform && verdict == v1alpha1.ReasonPolicyAudit:
		j.audit.add(report, "")
	}
	if j.policy == nil {
		return
	}
	switch j.policy.Judge(counts, fixable) {
	case metav1.ConditionFalse:
		j.over.add(report, j.policy.Excess(counts, fixable))
	case metav1.ConditionUnknown:
		j.unknown++
	}
}

// condition is PolicyPassed. An image beyond the policy denies the run whatever the others are;
// an image that nobody assessed must not let it pass.
func (j *judged) condition(unread int32) *metav1.Condition {
	if j == nil {
		return nil
	}
	c := &metav1.Condition{Type: v1alpha1.ConditionPolicyPassed}
	switch objections := j.objections(); {
	case j.over.n+j.denied.n > 0:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonPolicyDenied, objections
	case j.audit.n > 0:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonPolicyAudit, objections
	case j.unknown > 0:
		c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonNotAssessed
		c.Message = fmt.Sprintf("%s not matched with a vulnerability database", counted(j.unknown, "image was", "images were"))
	case unread > 0:
		c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonPartiallyAssessed
		c.Message = fmt.Sprintf("every image that was read is within %s, and %d could not be read", j.name(), unread)
	default:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonSucceeded
		c.Message = "every image is within " + j.name()
	}
	return c
}

// objections says which images do not pass.
func (j *judged) objections() string {
	var parts []string
	if n := j.over.n; n > 0 {
		parts = append(parts, fmt.Sprintf("%s more findings than spec.policy allows: %s", counted(n, "image has", "images have"), &j.over))
	}
	if n := j.denied.n; n > 0 {
		parts = append(parts, fmt.Sprintf("the platform's policy denies %s: %s", counted(n, "image", "images"), &j.denied))
	}
	if n := j.audit.n; n > 0 {
		parts = append(parts, fmt.Sprintf("the platform's policy asks for an audit of %s: %s", counted(n, "image", "images"), &j.audit))
	}
	return strings.Join(parts, "; ")
}

// name says what the images are judged by.
func (j *judged) name() string {
	switch {
	case j.policy == nil:
		return "the platform's policy"
	case j.platform:
		return "spec.policy and the platform's policy"
	}
	return "spec.policy"
}
