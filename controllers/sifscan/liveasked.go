// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// nodeScansPolicy is the admission policy, and its binding, that asks who may have nodes scanned (config/admission).
const nodeScansPolicy = "sifscan-node-scans"

// checkAsked ends a run before it begins where admission does not ask who may have nodes scanned: whoever may make a
// SIFScan in some namespace would see every process of the cluster. A run that was refused so does not begin once the
// policy is there, for its author was not asked; a change that asks for another run is.
func (r *Reconciler) checkAsked(ctx context.Context) error {
	policy, binding := &admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}
	for _, obj := range []client.Object{policy, binding} {
		err := r.Live.Get(ctx, types.NamespacedName{Name: nodeScansPolicy}, obj)
		switch {
		case apierrors.IsForbidden(err):
			return &hold{stalled: true, reason: v1alpha1.ReasonNotAllowed, retry: refusedRetry, message: fmt.Sprintf(
				"the operator may not read %s %s, which asks who may have nodes scanned: ask the cluster's administrator to apply config/node-scans",
				kindOf(obj), nodeScansPolicy)}
		case client.IgnoreNotFound(err) != nil:
			return fmt.Errorf("read %s %s: %w", kindOf(obj), nodeScansPolicy, err)
		}
	}
	if why := unasked(policy, binding); why != "" {
		return &hold{ends: true, reason: v1alpha1.ReasonNotAllowed, message: fmt.Sprintf(
			"nobody asked whether the author of this SIFScan may have nodes scanned, for %s: ask the cluster's administrator to apply config/node-scans, then %s",
			why, again)}
	}
	return nil
}

func kindOf(obj client.Object) string {
	if _, ok := obj.(*admissionv1.ValidatingAdmissionPolicy); ok {
		return "ValidatingAdmissionPolicy"
	}
	return "ValidatingAdmissionPolicyBinding"
}

// unasked says why the policy is not in force; empty: it is. One that is not there has no name.
func unasked(policy *admissionv1.ValidatingAdmissionPolicy, binding *admissionv1.ValidatingAdmissionPolicyBinding) string {
	switch {
	case policy.Name == "":
		return "there is no ValidatingAdmissionPolicy " + nodeScansPolicy
	case ptr.Deref(policy.Spec.FailurePolicy, admissionv1.Fail) != admissionv1.Fail:
		return "failurePolicy of ValidatingAdmissionPolicy " + nodeScansPolicy + " is not Fail"
	case binding.Name == "":
		return "there is no ValidatingAdmissionPolicyBinding " + nodeScansPolicy
	case binding.Spec.PolicyName != nodeScansPolicy:
		return "ValidatingAdmissionPolicyBinding " + nodeScansPolicy + " binds another policy"
	case !slices.Contains(binding.Spec.ValidationActions, admissionv1.Deny):
		return "validationActions of ValidatingAdmissionPolicyBinding " + nodeScansPolicy + " are without Deny"
	case binding.Spec.MatchResources != nil:
		return "matchResources of ValidatingAdmissionPolicyBinding " + nodeScansPolicy + " leave something out"
	}
	return ""
}
