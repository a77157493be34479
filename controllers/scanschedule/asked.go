// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/nodepolicy"
)

// checkAsked refuses to make SIFScans of nodes for an author whom nobody asked. Admission exempts the operator, which
// makes them: it must have asked for the ScanSchedule.
func (r *Reconciler) checkAsked(ctx context.Context, p *pass, d decision) error {
	status := &p.schedule.Status
	if !r.NodeScans || p.schedule.Spec.Template.Spec.Target.Running == nil {
		meta.RemoveStatusCondition(&status.Conditions, nodepolicy.Condition)
		return nil
	}
	isNew := p.before.ObservedGeneration != p.schedule.Generation
	if !isNew && d.step != start && d.step != replace && !nodepolicy.Refused(status.Conditions) {
		return nil
	}
	policy, err := nodepolicy.Read(ctx, r.Live)
	if apierrors.IsForbidden(err) {
		return &refusal{reason: v1alpha1.ReasonNotAllowed, stalled: true, message: fmt.Sprintf(
			"the operator may not %v: ask the cluster's administrator to apply config/node-scans", err)}
	}
	if err != nil {
		return err
	}
	if why := policy.Unasked(p.schedule, &status.Conditions, p.now); why != "" {
		return &refusal{reason: v1alpha1.ReasonNotAllowed, stalled: true, message: fmt.Sprintf(
			"%s; then change the ScanSchedule, or set annotation %s to a new value", why, v1alpha1.AnnotationRunNow)}
	}
	return nil
}
