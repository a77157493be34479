// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// maxSuperseded bounds the names taken from one report at a time; the rest waits for the next run.
const maxSuperseded = 64

// sweep collects the artifact ConfigMaps that newer ones replaced. Only the operator deletes
// them: the reporter, next to hostile images, has no verb on ConfigMaps but create.
type sweep []supersededBy

// supersededBy is a report that names ConfigMaps it no longer refers to.
type supersededBy struct {
	report     *metav1.PartialObjectMetadata
	configMaps []string
}

func (s *sweep) add(report *metav1.PartialObjectMetadata) {
	if report.Annotations[v1alpha1.AnnotationSuperseded] == "" {
		return
	}
	*s = append(*s, supersededBy{report.DeepCopy(), supersededNames(report)})
}

// supersededNames returns the ConfigMaps that may be deleted in a report's name: its own, under the
// prefix of its artifacts, and not the one it refers to now. The annotation was written by the
// reporter and is not believed beyond that.
func supersededNames(report *metav1.PartialObjectMetadata) []string {
	current, _, _ := strings.Cut(report.Annotations[v1alpha1.AnnotationArtifacts], "/")
	var names []string
	for name := range strings.SplitSeq(report.Annotations[v1alpha1.AnnotationSuperseded], ",") {
		if len(names) == maxSuperseded {
			break
		}
		if strings.HasPrefix(name, v1alpha1.ArtifactPrefix+report.Name+"-") && name != current {
			names = append(names, name)
		}
	}
	return names
}

// deleteSuperseded deletes what was collected. A failure is logged and not returned: the
// annotation keeps the names for the next run, and a scan does not fail over its litter.
func (r *Reconciler) deleteSuperseded(ctx context.Context, s sweep) {
	for _, item := range s {
		if err := r.deleteArtifacts(ctx, item); err != nil {
			log.FromContext(ctx).Error(err, "superseded artifacts stay until the next run", "report", item.report.Name)
		}
	}
}

func (r *Reconciler) deleteArtifacts(ctx context.Context, item supersededBy) error {
	for _, name := range item.configMaps {
		artifact := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: item.report.Namespace, Name: name}}
		if err := r.Client.Delete(ctx, artifact); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	// With the resource version: names that the reporter added meanwhile must not get lost.
	before := item.report.DeepCopy()
	delete(item.report.Annotations, v1alpha1.AnnotationSuperseded)
	err := r.Client.Patch(ctx, item.report, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsConflict(err) {
		return nil
	}
	return client.IgnoreNotFound(err)
}
