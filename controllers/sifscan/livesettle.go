// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// settle writes what came of a node into its ScanInventory, and in which pods its containers run. A
// node that no pod went to has an inventory, too: whether it was checked is asked of every node.
func (r *Reconciler) settle(ctx context.Context, p *pass, n *nodeState, outcome cause) error {
	first, key := &v1alpha1.ScanInventory{}, firstChunk(p, n)
	err := r.Live.Get(ctx, key, first)
	switch {
	case apierrors.IsNotFound(err):
		return r.settleUnlisted(ctx, p, n, key, outcome)
	case err != nil:
		return fmt.Errorf("read ScanInventory %s: %w", key.Name, err)
	}
	before := first.DeepCopy()
	if err := r.placePods(ctx, p, n, first); err != nil {
		return err
	}
	metav1.SetMetaDataAnnotation(&first.ObjectMeta, v1alpha1.AnnotationNodeOutcome, outcome.String())
	if err := r.patchInventory(ctx, before, first); err != nil {
		return err
	}
	n.outcome = outcome
	return nil
}

// firstChunk names the ScanInventory that tells what came of a node.
func firstChunk(p *pass, n *nodeState) types.NamespacedName {
	return types.NamespacedName{Namespace: p.scan.Namespace, Name: inventoryName(JobName(p.scan.Name, p.run), n.worker, 0)}
}

// keepFromReading writes what kept a node from reading images. What its listing came to stands beside it: what is alive there is
// known.
func (r *Reconciler) keepFromReading(ctx context.Context, p *pass, n *nodeState, why cause) error {
	first, key := &v1alpha1.ScanInventory{}, firstChunk(p, n)
	switch err := r.Live.Get(ctx, key, first); {
	case apierrors.IsNotFound(err):
		return errStale // somebody deleted it: the node is not listed any more
	case err != nil:
		return fmt.Errorf("read ScanInventory %s: %w", key.Name, err)
	}
	before := first.DeepCopy()
	metav1.SetMetaDataAnnotation(&first.ObjectMeta, v1alpha1.AnnotationNodeReading, why.String())
	if err := r.patchInventory(ctx, before, first); err != nil {
		return err
	}
	n.kept = why
	return nil
}

// settleUnlisted makes the inventory of a node that has none. Where the scanner said that it went well,
// its list is lost.
func (r *Reconciler) settleUnlisted(ctx context.Context, p *pass, n *nodeState, key types.NamespacedName, outcome cause) error {
	if outcome.reason == v1alpha1.ReasonSucceeded {
		outcome = cause{v1alpha1.ReasonReportUnavailable, fmt.Sprintf("the scan of node %s left no ScanInventory", n.Name)}
	}
	labels := JobInputs{Scan: p.scan, Run: p.run}.labels()
	labels[v1alpha1.LabelWorker] = strconv.Itoa(int(n.worker))
	now := metav1.NewTime(p.now)
	inventory := &v1alpha1.ScanInventory{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name, Labels: labels,
			Annotations: map[string]string{v1alpha1.AnnotationNodeOutcome: outcome.String()},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "SIFScan", Name: p.scan.Name, UID: p.scan.UID,
			}},
		},
		Worker: v1alpha1.InventoryWorker{Index: n.worker, Node: n.Name, UpdatedAt: &now},
	}
	if err := r.Client.Create(ctx, inventory); err != nil {
		if apierrors.IsAlreadyExists(err) {
			return errStale
		}
		return fmt.Errorf("create ScanInventory %s: %w", key.Name, err)
	}
	n.outcome = outcome
	return nil
}

// patchInventory writes what changed, unless somebody wrote meanwhile.
func (r *Reconciler) patchInventory(ctx context.Context, before, after *v1alpha1.ScanInventory) error {
	err := r.Client.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write ScanInventory %s: %w", after.Name, conflict(err))
	}
	return nil
}

// placePods names the pods that a node's containers run in, of which the agent knows the UIDs only, in
// every chunk; first is the first of them and is not written here.
func (r *Reconciler) placePods(ctx context.Context, p *pass, n *nodeState, first *v1alpha1.ScanInventory) error {
	var pods map[string]*corev1.Pod
	place := func(inventory *v1alpha1.ScanInventory) (err error) {
		if !inPods(inventory) {
			return nil
		}
		if pods == nil {
			if pods, err = r.podsOn(ctx, n.Name); err != nil {
				return err
			}
		}
		namePods(inventory, pods)
		return nil
	}
	if err := place(first); err != nil {
		return err
	}
	return r.eachNodeInventory(ctx, p, func(_ int32, chunk *v1alpha1.ScanInventory) error {
		if chunk.Name == first.Name || !inPods(chunk) {
			return nil
		}
		before := chunk.DeepCopy()
		if err := place(chunk); err != nil {
			return err
		}
		return r.patchInventory(ctx, before, chunk)
	}, client.MatchingLabels{v1alpha1.LabelWorker: strconv.Itoa(int(n.worker))})
}

func inPods(inventory *v1alpha1.ScanInventory) bool {
	for i := range inventory.Containers {
		if inventory.Containers[i].Pod != nil {
			return true
		}
	}
	return false
}

// podsOn returns the pods on a node by UID.
func (r *Reconciler) podsOn(ctx context.Context, node string) (map[string]*corev1.Pod, error) {
	pods := map[string]*corev1.Pod{}
	err := r.eachPod(ctx, func(pod *corev1.Pod) {
		pods[string(pod.UID)] = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, Labels: pod.Labels}}
	}, client.MatchingFields{"spec.nodeName": node})
	return pods, err
}

// slurmLabels are the labels of a slurmd pod that name its cluster and node set, and no others: labels
// of pods may hold what is none of the reader's business.
var slurmLabels = []string{slinkyCluster, slinkyNodeSet, soperatorNodeSet}

// namePods fills in what the API server knows of the pods, and the labels by which the inventories of
// a cluster or a node set are selected.
func namePods(inventory *v1alpha1.ScanInventory, pods map[string]*corev1.Pod) {
	for i := range inventory.Containers {
		in := inventory.Containers[i].Pod
		if in == nil || pods[in.UID] == nil {
			continue
		}
		pod := pods[in.UID]
		in.Namespace, in.Name = pod.Namespace, pod.Name
		cluster, set, ok := slurmOf(pod.Labels)
		if !ok {
			continue
		}
		in.Labels = map[string]string{}
		for _, key := range slurmLabels {
			if value, ok := pod.Labels[key]; ok {
				in.Labels[key] = value
			}
		}
		labels := maps.Clone(inventory.Labels)
		labels[v1alpha1.LabelSlurmCluster], labels[v1alpha1.LabelSlurmNodeSet] = cluster, set
		labels[v1alpha1.LabelSlurmPod] = v1alpha1.LabelValue(pod.Name)
		inventory.Labels = labels
	}
}

// slurmOf returns the Slurm cluster and the node set of a slurmd pod; false where the pod is none.
func slurmOf(labels map[string]string) (cluster, set string, ok bool) {
	switch {
	case slinkyWorkers.AsSelector().Matches(k8slabels.Set(labels)):
		return labels[slinkyCluster], labels[slinkyNodeSet], true
	case soperatorWorkers.AsSelector().Matches(k8slabels.Set(labels)):
		return labels[soperatorCluster], labels[soperatorNodeSet], true
	}
	return "", "", false
}

// spreadReports writes the reports of images that were read on one node to the containers of the others.
func (r *Reconciler) spreadReports(ctx context.Context, p *pass, images *liveImages) error {
	return r.eachNodeInventory(ctx, p, func(_ int32, inventory *v1alpha1.ScanInventory) error {
		before := inventory.DeepCopy()
		changed := false
		for i := range inventory.Containers {
			c := &inventory.Containers[i]
			if image := images.byKey[c.Key]; image != nil && image.last() != "" && c.Report == "" {
				c.Report, changed = image.last(), true
			}
		}
		if !changed {
			return nil
		}
		return r.patchInventory(ctx, before, inventory)
	})
}
