// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"hash/fnv"
	"slices"
	"strconv"
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

// Indices of the caches. Each is of buckets: an entry for each SIFScan took 0.6 KiB of every object, and marking them a tenth of
// the time that collecting garbage takes while thousands are at work.
const (
	indexUID   = "uid"   // of what carries a SIFScan's UID, and of SIFScans by their own
	indexName  = "name"  // of ScanInventories, by the name of the SIFScan that they carry
	indexClaim = "claim" // of SIFScans, by the claims that they may wait for
	indexNode  = "spec.nodeName"
)

// buckets a namespace has in an index. With thousands of SIFScans each holds a few dozen.
const buckets = 64

// bucketOf is the part of an index in which a text is found.
func bucketOf(text string) string {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(text)) // it returns no error
	return strconv.Itoa(int(hash.Sum32() % buckets))
}

// ofScan selects what carries a SIFScan's UID. A label selector alone would look at every object of the namespace.
func ofScan(namespace string, uid types.UID) []client.ListOption {
	return []client.ListOption{
		client.InNamespace(namespace),
		client.MatchingFields{indexUID: bucketOf(string(uid))}, client.MatchingLabels{v1alpha1.LabelScanUID: string(uid)},
	}
}

// byScanUID is the index of what carries a SIFScan's UID.
func byScanUID(o client.Object) []string {
	return []string{bucketOf(o.GetLabels()[v1alpha1.LabelScanUID])}
}

// byNode is the index of pods by their node.
func byNode(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} }

// byScanName is the index of what carries a SIFScan's name.
func byScanName(o client.Object) []string {
	return []string{bucketOf(o.GetLabels()[v1alpha1.LabelScan])}
}

// settled reports whether the run that a SIFScan asks for is over: what changes around it is no news then.
func settled(scan *v1alpha1.SIFScan) bool {
	return scan.Status.CompletionTime != nil && scan.Status.ObservedGeneration == scan.Generation &&
		scan.Status.LastHandledRescanAt == scan.Annotations[v1alpha1.AnnotationRescanAt]
}

// hasWork reports whether what carries a SIFScan's UID is news to it. What is left of node scans is looked for when they are over, too
// (sweeper).
func hasWork(scan *v1alpha1.SIFScan) bool { return !settled(scan) || scan.Spec.Target.Running != nil }

// byUID is the index of SIFScans that have work, by their UID.
func byUID(o client.Object) []string {
	scan := o.(*v1alpha1.SIFScan)
	if !hasWork(scan) {
		return nil
	}
	return []string{bucketOf(string(scan.UID))}
}

// byClaim is the index of SIFScans by the claims that they may wait for.
func byClaim(o client.Object) []string {
	names := claimsOf(o.(*v1alpha1.SIFScan))
	for i, name := range names {
		names[i] = bucketOf(name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// claimsOf are the claims that a SIFScan may wait for.
func claimsOf(scan *v1alpha1.SIFScan) (claims []string) {
	if settled(scan) {
		return nil
	}
	s := resolve(&scan.Spec)
	for _, c := range s.claims() {
		claims = append(claims, c.name)
	}
	if s.Database != nil {
		claims = append(claims, s.Database.ClaimName)
	}
	if s.ReportVolume != nil {
		claims = append(claims, s.ReportVolume.ClaimName)
	}
	return claims
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
