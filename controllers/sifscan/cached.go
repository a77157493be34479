// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// ofScan selects what carries a SIFScan's UID. A label selector alone would look at every object of the namespace.
func ofScan(namespace string, uid types.UID) []client.ListOption {
	return []client.ListOption{
		client.InNamespace(namespace),
		client.MatchingFields{indexBucket: bucketOf(string(uid))}, client.MatchingLabels{v1alpha1.LabelScanUID: string(uid)},
	}
}

// bucketOf is the part of a SIFScan's UID by which caches find what belongs to it, one of sixteen in each
// namespace: an index with an entry for each UID took 0.6 KiB for every object.
func bucketOf(uid string) string { return uid[:min(1, len(uid))] }

func bucket(o client.Object) []string {
	return []string{bucketOf(o.GetLabels()[v1alpha1.LabelScanUID])}
}

// keepReadiness strips a Node, whose list of images alone may have 20 KiB, down to whether it can run pods, and
// what Slurm says of it.
func keepReadiness(obj any) (any, error) {
	node, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	kept := &corev1.Node{
		TypeMeta: node.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion, Labels: node.Labels,
			DeletionTimestamp: node.DeletionTimestamp,
		},
		Spec: corev1.NodeSpec{Unschedulable: node.Spec.Unschedulable, Taints: node.Spec.Taints},
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady || strings.HasPrefix(string(c.Type), soperatorCondition) {
			c.LastHeartbeatTime, c.Message = metav1.Time{}, ""
			kept.Status.Conditions = append(kept.Status.Conditions, c)
		}
	}
	return kept, nil
}

// readinessChanged lets through that a node stopped to answer, or answers again.
func readinessChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*corev1.Node)
			after, ok2 := e.ObjectNew.(*corev1.Node)
			if !ok || !ok2 {
				return false
			}
			_, silentBefore := silentSince(before)
			_, silentAfter := silentSince(after)
			return silentBefore != silentAfter
		},
	}
}

// scansOnNode are the SIFScans that have a pod on a node.
func (r *Reconciler) scansOnNode(ctx context.Context, node client.Object) []reconcile.Request {
	pods := &corev1.PodList{}
	if err := r.Client.List(ctx, pods, client.MatchingFields{indexNode: node.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "find the pods on a node", "node", node.GetName())
		return nil
	}
	var requests []reconcile.Request
	for i := range pods.Items {
		if !ended(&pods.Items[i]) {
			requests = append(requests, r.scanOf(ctx, &pods.Items[i])...)
		}
	}
	return requests
}
