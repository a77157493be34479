// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/nodepolicy"
)

// checkAsked ends a run before it begins whose author nobody asked. It does not begin once the policy is there; a
// change that asks for another run is asked for.
func (r *Reconciler) checkAsked(ctx context.Context, p *pass) error {
	policy, err := r.nodePolicy(ctx)
	if err != nil {
		return err
	}
	if why := policy.Unasked(p.scan, &p.scan.Status.Conditions, p.now); why != "" {
		return &hold{ends: true, reason: v1alpha1.ReasonNotAllowed, message: why + "; then " + again}
	}
	return nil
}

func (r *Reconciler) nodePolicy(ctx context.Context) (nodepolicy.State, error) {
	policy, err := nodepolicy.Read(ctx, r.Live)
	if apierrors.IsForbidden(err) {
		return policy, &hold{stalled: true, reason: v1alpha1.ReasonNotAllowed, retry: refusedRetry, message: fmt.Sprintf(
			"the operator may not %v: ask the cluster's administrator to apply config/node-scans", err)}
	}
	return policy, err
}

// askLater looks whether the policy has come into force since a run ended for want of it: what its author changes
// from then on is asked for.
func (r *Reconciler) askLater(ctx context.Context, p *pass) (ctrl.Result, error) {
	policy, err := r.nodePolicy(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	if why := policy.Unasked(p.scan, &p.scan.Status.Conditions, p.now); why != "" {
		stalled(v1alpha1.ReasonNotAllowed, why+"; then "+again).apply(p.scan, p.now)
	}
	if policy.Missing == "" {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: refusedRetry}, nil
}
