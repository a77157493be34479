// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// podPage is how many pods are read at once, of some 10 KiB each.
const podPage = 200

// notReadyPatience is how long a node may be not ready until nothing is expected of it any more.
// Kubelet reports every 10 s, and the node controller calls a node not ready after 50 s of silence.
const notReadyPatience = 2 * time.Minute

// selectNodes returns the nodes that a SIFScan names, sorted by name.
func (r *Reconciler) selectNodes(ctx context.Context, scan *v1alpha1.SIFScan) ([]plannedNode, error) {
	t := scan.Spec.Target.Running
	switch {
	case t.NodeName != "":
		return []plannedNode{{Name: t.NodeName}}, nil
	case t.PodSelector != nil:
		return r.nodesOfPods(ctx, scan)
	}
	list := &corev1.NodeList{}
	if err := r.Client.List(ctx, list, client.MatchingLabels(t.NodeSelector)); err != nil {
		return nil, fmt.Errorf("list Nodes: %w", err)
	}
	nodes := make([]plannedNode, len(list.Items))
	for i := range list.Items {
		nodes[i].Name = list.Items[i].Name
	}
	slices.SortFunc(nodes, func(a, b plannedNode) int { return strings.Compare(a.Name, b.Name) })
	return nodes, nil
}

// nodesOfPods returns the nodes of the selected pods that run, each with the pods on it.
func (r *Reconciler) nodesOfPods(ctx context.Context, scan *v1alpha1.SIFScan) ([]plannedNode, error) {
	t := scan.Spec.Target.Running
	selector, err := metav1.LabelSelectorAsSelector(t.PodSelector)
	if err != nil {
		return nil, &hold{stalled: true, reason: v1alpha1.ReasonInvalidSpec, message: "spec.target.running.podSelector: " + printable(err.Error(), maxDetail)}
	}
	namespaces := t.PodNamespaces
	if len(namespaces) == 0 {
		namespaces = []string{scan.Namespace}
	}
	pods := map[string][]string{}
	for _, namespace := range namespaces {
		err := r.eachPod(ctx, func(pod *corev1.Pod) {
			if pod.Spec.NodeName != "" && pod.Status.Phase == corev1.PodRunning {
				pods[pod.Spec.NodeName] = append(pods[pod.Spec.NodeName], string(pod.UID))
			}
		}, client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: selector})
		if err != nil {
			return nil, err
		}
	}
	var nodes []plannedNode
	for _, name := range slices.Sorted(maps.Keys(pods)) {
		nodes = append(nodes, plannedNode{Name: name, Pods: asSet(pods[name])})
	}
	return nodes, nil
}

// eachPod calls fn with pods of others, which are in no cache.
func (r *Reconciler) eachPod(ctx context.Context, fn func(*corev1.Pod), opts ...client.ListOption) error {
	return eachPage(ctx, r.Live, "pods", podPage, func() *corev1.PodList { return &corev1.PodList{} }, func(page *corev1.PodList) error {
		for i := range page.Items {
			fn(&page.Items[i])
		}
		return nil
	}, opts...)
}

// pressures are the taints of a node that is short of something for a while: kubelet frees what it can, and says so for five
// minutes more (its evictionPressureTransitionPeriod).
var pressures = []string{corev1.TaintNodeDiskPressure, corev1.TaintNodeMemoryPressure, corev1.TaintNodePIDPressure}

// objection says why no pod is sent to a node; wait where that may pass, for as long as patience says of one short of something.
func objection(name string, node *corev1.Node, slurm cause, tolerations []corev1.Toleration, patience time.Duration, now time.Time) (why cause, wait bool) {
	if why, wait = absence(name, node, now); why.reason != "" || wait {
		return why, wait
	}
	if why := drained(node, slurm); why.reason != "" {
		return why, false
	}
	for i := range node.Spec.Taints {
		taint := &node.Spec.Taints[i]
		switch {
		case taint.Effect == corev1.TaintEffectPreferNoSchedule, tolerated(taint, tolerations):
		case !slices.Contains(pressures, taint.Key):
			return cause{v1alpha1.ReasonUnschedulable, fmt.Sprintf(
				"node %s has the taint %s, which this scan does not tolerate: ask the operator's administrator for --node-scans-tolerations",
				name, printable(taint.ToString(), maxDetail))}, false
		case taint.TimeAdded == nil || now.Sub(taint.TimeAdded.Time) >= patience:
			why = cause{v1alpha1.ReasonUnschedulable, fmt.Sprintf("node %s takes no pods while it is short of something (its taint %s): "+
				"see kubectl describe node %[1]s", name, printable(taint.ToString(), maxDetail))}
		default:
			wait = true
		}
	}
	return why, wait && why.reason == ""
}

// absence says that a node is not there, or does not answer any more.
func absence(name string, node *corev1.Node, now time.Time) (why cause, wait bool) {
	if node == nil {
		return cause{v1alpha1.ReasonNodeGone, fmt.Sprintf("there is no node %s", name)}, false
	}
	for _, c := range node.Status.Conditions {
		if c.Type != corev1.NodeReady || c.Status == corev1.ConditionTrue {
			continue
		}
		if now.Sub(c.LastTransitionTime.Time) < notReadyPatience {
			return cause{}, true
		}
		return cause{v1alpha1.ReasonNodeGone, fmt.Sprintf("node %s is not ready since %s", name, c.LastTransitionTime.UTC().Format(time.RFC3339))}, false
	}
	return cause{}, false
}

// drained says that a node is taken out of service, in Kubernetes or in Slurm; slurm is what a slurmd pod on it says.
func drained(node *corev1.Node, slurm cause) cause {
	if node.Spec.Unschedulable {
		return cause{v1alpha1.ReasonNodeCordoned, fmt.Sprintf("node %[1]s is cordoned: kubectl uncordon %[1]s", node.Name)}
	}
	for _, c := range node.Status.Conditions {
		state, ok := strings.CutPrefix(string(c.Type), soperatorCondition)
		if ok && c.Status == corev1.ConditionTrue && slices.Contains(slurmDown, state) {
			return cause{v1alpha1.ReasonNodeCordoned, fmt.Sprintf("Slurm has taken node %s out of service (its condition %s)", node.Name, c.Type)}
		}
	}
	return slurm
}

func tolerated(taint *corev1.Taint, tolerations []corev1.Toleration) bool {
	for i := range tolerations {
		if tolerations[i].ToleratesTaint(klog.Background(), taint, false) {
			return true
		}
	}
	return false
}
