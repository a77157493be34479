// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package nodepolicy

import (
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/utils/ptr"
)

func TestNodesAreNotScannedWhereAdmissionDoesNotAskWhoMay(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*admissionv1.ValidatingAdmissionPolicy, *admissionv1.ValidatingAdmissionPolicyBinding)
		want   string
	}{
		"as shipped": {func(*admissionv1.ValidatingAdmissionPolicy, *admissionv1.ValidatingAdmissionPolicyBinding) {}, ""},
		"it also warns and audits": {func(_ *admissionv1.ValidatingAdmissionPolicy, b *admissionv1.ValidatingAdmissionPolicyBinding) {
			b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Audit, admissionv1.Deny}
		}, ""},
		"no policy": {func(p *admissionv1.ValidatingAdmissionPolicy, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
			p.Name = ""
		}, "there is no ValidatingAdmissionPolicy "},
		"one that lets pass what it cannot judge": {func(p *admissionv1.ValidatingAdmissionPolicy, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
			p.Spec.FailurePolicy = ptr.To(admissionv1.Ignore)
		}, "failurePolicy"},
		"no binding": {func(_ *admissionv1.ValidatingAdmissionPolicy, b *admissionv1.ValidatingAdmissionPolicyBinding) {
			b.Name = ""
		}, "there is no ValidatingAdmissionPolicyBinding"},
		"a binding of another policy": {func(_ *admissionv1.ValidatingAdmissionPolicy, b *admissionv1.ValidatingAdmissionPolicyBinding) {
			b.Spec.PolicyName = "other"
		}, "binds another policy"},
		"a binding that only warns": {func(_ *admissionv1.ValidatingAdmissionPolicy, b *admissionv1.ValidatingAdmissionPolicyBinding) {
			b.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn, admissionv1.Audit}
		}, "without Deny"},
		"a binding of some namespaces": {func(_ *admissionv1.ValidatingAdmissionPolicy, b *admissionv1.ValidatingAdmissionPolicyBinding) {
			b.Spec.MatchResources = &admissionv1.MatchResources{}
		}, "matchResources"},
		"a binding that was edited, and edited back": {func(_ *admissionv1.ValidatingAdmissionPolicy, b *admissionv1.ValidatingAdmissionPolicyBinding) {
			b.Generation = 3
		}, "was edited"},
		"a policy of a later version of the operator": {func(p *admissionv1.ValidatingAdmissionPolicy, _ *admissionv1.ValidatingAdmissionPolicyBinding) {
			p.Generation = 2
		}, ""},
	} {
		policy, binding := &admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}
		policy.Name, policy.Generation, policy.Spec.FailurePolicy = Name, 1, ptr.To(admissionv1.Fail)
		binding.Name, binding.Generation = Name, 1
		binding.Spec.PolicyName, binding.Spec.ValidationActions = Name, []admissionv1.ValidationAction{admissionv1.Deny}
		tc.change(policy, binding)
		if got := missing(policy, binding); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
