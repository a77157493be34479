// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// What tells of Slurm's nodes. Slinky's slurm-operator marks its slurmd pods (api/v1beta1/well_known.go,
// internal/builder/labels), Soperator its pods and its Nodes (internal/consts).
const (
	slinkyPodCordon    = "nodeset.slinky.slurm.net/pod-cordon"
	slinkyCluster      = "slinky.slurm.net/cluster"
	slinkyNodeSet      = "app.kubernetes.io/instance"
	slinkyConditions   = "SlurmNodeState"
	soperatorNodeSet   = "slurm.nebius.ai/nodeset"
	soperatorCluster   = "app.kubernetes.io/instance"
	soperatorCondition = "SlurmNode"
)

var (
	// slinkyNodeSets is the kind of what controls Slinky's slurmd pods, in whatever versions the cluster serves it.
	slinkyNodeSets   = schema.GroupKind{Group: "slinky.slurm.net", Kind: "NodeSet"}
	slinkyWorkers    = labels.Set{"app.kubernetes.io/name": "slurmd", "app.kubernetes.io/component": "worker"}
	soperatorWorkers = labels.Set{"slurm.nebius.ai/worker": "true"}
)

// slurmDown are the states in which a Slurm node takes no jobs, or is about to go.
var slurmDown = []string{"Drain", "Down", "Maintenance", "Reboot"}

// drainedWorkers says, by node, which slurmd pods are taken out of service. Anybody who may create a pod somewhere
// writes labels, annotations and owners of his own: only a pod of a NodeSet that exists is believed, or every
// tenant could keep the nodes that his pods are on from being looked at. Soperator says it on the Node.
func (r *Reconciler) drainedWorkers(ctx context.Context) (map[string]cause, error) {
	var claims []drainedWorker
	err := r.eachPod(ctx, func(pod *corev1.Pod) {
		if c, ok := drainedWorkerOf(pod); ok {
			claims = append(claims, c)
		}
	}, client.MatchingLabels(slinkyWorkers))
	if err != nil || len(claims) == 0 {
		return nil, err
	}
	sets, err := r.nodeSets(ctx)
	if err != nil {
		return nil, err
	}
	nodes := map[string]cause{}
	for _, c := range claims {
		if uid, there := sets[c.set]; there && uid == c.uid {
			nodes[c.node] = c.cause
		}
	}
	return nodes, nil
}

// drainedWorker is a slurmd pod that says that it is taken out of service.
type drainedWorker struct {
	cause
	node string
	// set and uid of the NodeSet that is said to control it.
	set types.NamespacedName
	uid types.UID
}

func drainedWorkerOf(pod *corev1.Pod) (drainedWorker, bool) {
	owner := metav1.GetControllerOf(pod)
	if owner == nil || owner.Kind != slinkyNodeSets.Kind || schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).Group != slinkyNodeSets.Group {
		return drainedWorker{}, false
	}
	d := drainedWorker{node: pod.Spec.NodeName, set: types.NamespacedName{Namespace: pod.Namespace, Name: owner.Name}, uid: owner.UID}
	if pod.Annotations[slinkyPodCordon] == "true" {
		d.cause = cause{v1alpha1.ReasonNodeCordoned, fmt.Sprintf("the slurmd pod %s on node %s is cordoned (%s)", pod.Name, d.node, slinkyPodCordon)}
	}
	for _, c := range pod.Status.Conditions {
		state, ok := strings.CutPrefix(string(c.Type), slinkyConditions)
		if ok && c.Status == corev1.ConditionTrue && slices.Contains(slurmDown, state) {
			d.cause = cause{v1alpha1.ReasonNodeCordoned, fmt.Sprintf("Slurm has taken node %s out of service (condition %s of pod %s)", d.node, c.Type, pod.Name)}
		}
	}
	return d, d.reason != "" && d.node != "" && !ended(pod)
}

// nodeSets returns the UIDs of Slinky's NodeSets; none where the cluster does not know the kind.
func (r *Reconciler) nodeSets(ctx context.Context) (map[types.NamespacedName]types.UID, error) {
	kind, err := r.Client.RESTMapper().RESTMapping(slinkyNodeSets)
	switch {
	case meta.IsNoMatchError(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("find the version of %s: %w", slinkyNodeSets, err)
	}
	sets := map[types.NamespacedName]types.UID{}
	empty := func() *metav1.PartialObjectMetadataList {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersionKind.GroupVersion().WithKind(kind.GroupVersionKind.Kind + "List"))
		return list
	}
	err = eachPage(ctx, r.Live, "NodeSets, which say whose slurmd pods are", podPage, empty, func(page *metav1.PartialObjectMetadataList) error {
		for i := range page.Items {
			sets[client.ObjectKeyFromObject(&page.Items[i])] = page.Items[i].UID
		}
		return nil
	})
	return sets, err
}
