// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// maxWorst images are named in the status.
const maxWorst = 10

// worst keeps the images with the most severe findings of all that it is shown.
type worst []v1alpha1.WorstImage

func (w *worst) add(report string, critical, high int32) {
	if critical == 0 && high == 0 {
		return
	}
	*w = append(*w, v1alpha1.WorstImage{Report: report, Critical: critical, High: high})
	slices.SortFunc(*w, func(a, b v1alpha1.WorstImage) int {
		return cmp.Or(cmp.Compare(b.Critical, a.Critical), cmp.Compare(b.High, a.High), cmp.Compare(a.Report, b.Report))
	})
	*w = (*w)[:min(len(*w), maxWorst)]
}

// withTargets reads the paths of the worst images, which metadata does not tell.
func (r *Reconciler) withTargets(ctx context.Context, namespace string, w worst) ([]v1alpha1.WorstImage, error) {
	out := slices.Clone(w)
	for i := range out {
		target, err := r.targetOf(ctx, namespace, out[i].Report)
		if err != nil {
			return nil, err
		}
		out[i].Target = target
	}
	return out, nil
}

// targetOf reads the path of a report's image; empty where the report is gone.
func (r *Reconciler) targetOf(ctx context.Context, namespace, name string) (string, error) {
	report := &v1alpha1.ScanReport{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, report)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read ScanReport %s: %w", name, err)
	}
	return printable(report.Report.Target.Path, maxDetail), nil
}
