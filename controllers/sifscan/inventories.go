// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

var inventoryKind = v1alpha1.GroupVersion.WithKind("ScanInventory")

func inventoryMetadataList() *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ScanInventoryList"))
	return list
}

func inventoryList() *v1alpha1.ScanInventoryList { return &v1alpha1.ScanInventoryList{} }

// ofRun selects what carries the run of a SIFScan.
func ofRun(p *pass) client.MatchingLabels {
	return client.MatchingLabels{v1alpha1.LabelScanUID: string(p.scan.UID), v1alpha1.LabelRun: p.run}
}

// removeOldInventories deletes the inventories of earlier runs once a newer one is finished.
// Until then they are the last complete answer.
func (r *Reconciler) removeOldInventories(ctx context.Context, p *pass) error {
	list := inventoryMetadataList()
	err := r.Client.List(ctx, list, ofScan(p.scan.Namespace, p.scan.UID)...)
	if err != nil {
		return fmt.Errorf("list ScanInventories: %w", err)
	}
	for i := range list.Items {
		old := &list.Items[i]
		if old.Labels[v1alpha1.LabelRun] == p.run {
			continue
		}
		if err := r.Client.Delete(ctx, old); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete ScanInventory %s of an earlier run: %w", old.Name, err)
		}
	}
	return nil
}

// recordDeath notes on a worker's first inventory why its pod died, and whether an image may have caused it. The scanner
// cannot know: the next pod counts by it, and its report of the image that is given up repeats the last death that counts.
func (r *Reconciler) recordDeath(ctx context.Context, p *pass, pod *corev1.Pod, why cause) error {
	first := &metav1.PartialObjectMetadata{}
	first.SetGroupVersionKind(inventoryKind)
	key := types.NamespacedName{Namespace: pod.Namespace, Name: inventoryName(p.current.Name, workerOf(pod), 0)}
	if err := r.Client.Get(ctx, key, first); err != nil {
		return client.IgnoreNotFound(err) // it died before it had begun anything
	}
	before := first.DeepCopy()
	if first.Labels[v1alpha1.LabelScanUID] != string(p.scan.UID) || !noteDeath(&first.ObjectMeta, pod, why) {
		return nil
	}
	if err := r.Client.Patch(ctx, first, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("annotate ScanInventory %s: %w", first.Name, conflict(err))
	}
	return nil
}

// noteDeath notes the end of a pod; false where that was done. A disruption takes no other death's place: an image may wait
// for its turn to be given up.
func noteDeath(inventory *metav1.ObjectMeta, pod *corev1.Pod, why cause) bool {
	text, verdict := printable(why.reason+": "+why.message, maxDetail), v1alpha1.DeathOfImage
	if disrupted(pod) {
		verdict = v1alpha1.DeathByDisruption
		text = cmp.Or(inventory.Annotations[v1alpha1.AnnotationLastDeath], text)
	}
	judged := string(pod.UID) + "/" + verdict
	if inventory.Annotations[v1alpha1.AnnotationLastDeath] == text && inventory.Annotations[v1alpha1.AnnotationJudged] == judged {
		return false
	}
	metav1.SetMetaDataAnnotation(inventory, v1alpha1.AnnotationLastDeath, text)
	metav1.SetMetaDataAnnotation(inventory, v1alpha1.AnnotationJudged, judged)
	return true
}

// workerOf returns the index that the Job controller gave a pod.
func workerOf(pod *corev1.Pod) int32 {
	index, err := strconv.ParseInt(pod.Annotations[batchv1.JobCompletionIndexAnnotation], 10, 32)
	if err != nil {
		return 0
	}
	return int32(index)
}
