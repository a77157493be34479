// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"errors"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestNoRunBeginsWhereTheOperatorCannotReadThePolicy(t *testing.T) {
	for name, c := range map[string]struct {
		answer              error
		stalled, ends, held bool
	}{
		"it may not":                     {apierrors.NewForbidden(schema.GroupResource{}, nodeScansPolicy, nil), true, false, true},
		"it is not there":                {apierrors.NewNotFound(schema.GroupResource{}, nodeScansPolicy), false, true, true},
		"the API server has no answer":   {apierrors.NewInternalError(errors.New("etcd")), false, false, false},
		"the connection broke meanwhile": {errors.New("EOF"), false, false, false},
	} {
		live := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{
			Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
				return c.answer
			},
		}).Build()
		err := (&Reconciler{Live: live}).checkAsked(t.Context())
		var h *hold
		if held := errors.As(err, &h); err == nil || held != c.held {
			t.Errorf("%s: %v", name, err)
		} else if held && (h.reason != v1alpha1.ReasonNotAllowed || h.stalled != c.stalled || h.ends != c.ends || (h.retry > 0) != c.stalled) {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

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
	} {
		policy, binding := &admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}
		policy.Name, policy.Spec.FailurePolicy = nodeScansPolicy, ptr.To(admissionv1.Fail)
		binding.Name, binding.Spec.PolicyName, binding.Spec.ValidationActions = nodeScansPolicy, nodeScansPolicy, []admissionv1.ValidationAction{admissionv1.Deny}
		tc.change(policy, binding)
		if got := unasked(policy, binding); (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
