// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"fmt"
	"path"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

const sifscanKind = "SIFScan"

// holder is what a target is on: a report is named by it, belongs to it and goes with it.
type holder struct {
	subject report.Subject
	owner   metav1.OwnerReference
	claim   string // empty: no claim
	labels  map[string]string
}

// holderOf says what holds the target of an event. A registry image, and a line of a list that is
// on no volume, and the image of a live container belong to the SIFScan that asked for them.
func (r *Reporter) holderOf(e handover.Event) (holder, error) {
	if e.Volume == handover.NoVolume {
		return holder{
			subject: report.Subject{Path: e.OnVolume(), Live: e.Live, Engine: r.opts.Engine, ScanTypes: r.opts.ScanTypes},
			owner:   r.scanOwner(),
			labels:  map[string]string{},
		}, nil
	}
	if e.Volume < 0 || e.Volume >= len(r.opts.Claims) {
		return holder{}, fmt.Errorf("the scanner speaks of volume %d, and there are %d", e.Volume, len(r.opts.Claims))
	}
	claim := r.opts.Claims[e.Volume]
	return holder{
		subject: report.Subject{
			ClaimUID: claim.UID, Path: path.Join(claim.SubPath, e.OnVolume()), Engine: r.opts.Engine, ScanTypes: r.opts.ScanTypes,
		},
		owner:  metav1.OwnerReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: claim.Name, UID: types.UID(claim.UID)},
		claim:  claim.Name,
		labels: map[string]string{v1alpha1.LabelClaim: v1alpha1.LabelValue(claim.Name)},
	}, nil
}

func (r *Reporter) scanOwner() metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: sifscanKind, Name: r.opts.ScanName, UID: types.UID(r.opts.ScanUID),
	}
}

// share makes this SIFScan one of the owners of a report that another SIFScan of the same
// reference wrote: what it counts must not vanish with the other one.
func (r *Reporter) share(ctx context.Context, name string) {
	err := r.calls.retry(ctx, func(ctx context.Context) error {
		have := &v1alpha1.ScanReport{}
		err := r.api.Get(ctx, types.NamespacedName{Namespace: r.opts.Namespace, Name: name}, have)
		if apierrors.IsNotFound(err) {
			return nil // the run's summary tells that it is missing
		}
		if err != nil || ownedBy(have.OwnerReferences, types.UID(r.opts.ScanUID)) {
			return err
		}
		have.OwnerReferences = withOwners(have.OwnerReferences, []metav1.OwnerReference{r.scanOwner()})
		err = r.api.Update(ctx, have)
		if apierrors.IsConflict(err) {
			return errors.Join(errAgain, err)
		}
		return err
	})
	if err != nil {
		r.log.Error(err, "a report stays another SIFScan's alone", "report", name)
	}
}

// withOwners are the owners of a report that is written again: SIFScans share a report, a claim does not.
func withOwners(have, want []metav1.OwnerReference) []metav1.OwnerReference {
	if len(have) == 0 || have[0].Kind != sifscanKind {
		return want
	}
	owners := have
	for _, owner := range want {
		if !ownedBy(owners, owner.UID) {
			owners = append(owners, owner)
		}
	}
	return owners
}
