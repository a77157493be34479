// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodepolicy tells whether admission asked who may have nodes scanned (config/admission,
// sifscan-node-scans): whoever may make a SIFScan or a ScanSchedule in some namespace would otherwise see every
// process of the cluster.
//
// Only what the API server itself says is believed. A timestamp or an annotation that an object brings along was
// written by who was not asked.
package nodepolicy

import (
	"context"
	"fmt"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Name of the admission policy and of its binding.
const Name = "sifscan-node-scans"

// State is the policy as it is in force, or not.
type State struct {
	// Missing says why the policy is not in force; empty: it is.
	Missing string
	// ID is of this policy and this binding, and of none that come after they were deleted. Nobody can know it
	// before they are there.
	ID string
	// Since is when the younger of the two was made.
	Since time.Time
}

// Read asks the API server for the policy. apierrors.IsForbidden tells of an error that the operator may not ask.
func Read(ctx context.Context, server client.Reader) (State, error) {
	policy, binding := &admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}
	for _, obj := range []client.Object{policy, binding} {
		if err := server.Get(ctx, types.NamespacedName{Name: Name}, obj); client.IgnoreNotFound(err) != nil {
			return State{}, fmt.Errorf("read what asks who may have nodes scanned: %w", err)
		}
	}
	return stateOf(policy, binding), nil
}

// stateOf is pure. What is not there has no name.
func stateOf(policy *admissionv1.ValidatingAdmissionPolicy, binding *admissionv1.ValidatingAdmissionPolicyBinding) State {
	if why := missing(policy, binding); why != "" {
		return State{Missing: why}
	}
	s := State{ID: string(policy.UID) + "/" + string(binding.UID), Since: policy.CreationTimestamp.Time}
	if at := binding.CreationTimestamp.Time; at.After(s.Since) {
		s.Since = at
	}
	return s
}

func missing(policy *admissionv1.ValidatingAdmissionPolicy, binding *admissionv1.ValidatingAdmissionPolicyBinding) string {
	switch {
	case policy.Name == "":
		return "there is no ValidatingAdmissionPolicy " + Name
	case ptr.Deref(policy.Spec.FailurePolicy, admissionv1.Fail) != admissionv1.Fail:
		return "failurePolicy of ValidatingAdmissionPolicy " + Name + " is not Fail"
	case binding.Name == "":
		return "there is no ValidatingAdmissionPolicyBinding " + Name
	case binding.Spec.PolicyName != Name:
		return "ValidatingAdmissionPolicyBinding " + Name + " binds another policy"
	case !slices.Contains(binding.Spec.ValidationActions, admissionv1.Deny):
		return "validationActions of ValidatingAdmissionPolicyBinding " + Name + " are without Deny"
	case binding.Spec.MatchResources != nil:
		return "matchResources of ValidatingAdmissionPolicyBinding " + Name + " leave something out"
	// kube-apiserver counts changes of the spec from 1 on. What the binding said in between nobody can tell, nor since when it
	// says what it does. The policy may change: with a new version of the operator it does.
	case binding.Generation > 1:
		return "ValidatingAdmissionPolicyBinding " + Name + " was edited, may have denied nothing meanwhile, and has to be deleted first"
	}
	return ""
}
