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
		report := &v1alpha1.ScanReport{}
		err := r.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: out[i].Report}, report)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read ScanReport %s: %w", out[i].Report, err)
		}
		out[i].Target = printable(report.Report.Target.Path, maxDetail)
	}
	return out, nil
}
