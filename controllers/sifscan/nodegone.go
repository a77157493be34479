// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// nodeGoneAfter is how long a node may be silent until its scan pods are given up. Kubernetes waits as long
// until it marks them for deletion, and then for a kubelet that may never come back to confirm it: a Job that
// replaces only pods that failed would wait for ever. A scan only reads, so that a pod which is still alive
// on the other side of a cut network does no harm.
const nodeGoneAfter = 5 * time.Minute

// silentSince is when a node stopped to answer, or said that it is not ready; false while it is.
func silentSince(node *corev1.Node) (time.Time, bool) {
	for i := range node.Status.Conditions {
		if c := &node.Status.Conditions[i]; c.Type == corev1.NodeReady {
			return c.LastTransitionTime.Time, c.Status != corev1.ConditionTrue
		}
	}
	return time.Time{}, false // kubelet has not said anything yet
}

// releaseLost gives up the pods whose node is gone: pods then holds them as they failed. It returns when to look
// again at nodes that are silent for a shorter time; 0: there is none.
func (r *Reconciler) releaseLost(ctx context.Context, pods []*corev1.Pod, now time.Time) (look time.Duration, err error) {
	for i, pod := range pods {
		gone, left, err := r.nodeGone(ctx, pod, now)
		if err == nil && gone != "" {
			pods[i], err = r.abandon(ctx, pod, gone)
		}
		if err != nil {
			return 0, err
		}
		look = sooner(look, left)
	}
	return look, nil
}

// takeDown gives up what is left of a run that is not to be at work on nodes that are gone. It returns when to look again,
// for nobody else asks after such a run, and a node may go before its kubelet has ended the pod; 0: no pod is left.
func (r *Reconciler) takeDown(ctx context.Context, p *pass) (look time.Duration, err error) {
	left := slices.DeleteFunc(slices.Concat(p.pods, p.strays), ended)
	if len(left) == 0 {
		return 0, nil
	}
	look, err = r.releaseLost(ctx, left, p.now)
	return sooner(look, nodeGoneAfter), err
}

// releaseLost does so with all pods on nodes that are gone: of those of a SIFScan that was deleted, or of its Namespace, nobody else thinks.
func (s sweeper) releaseLost(ctx context.Context) error {
	nodes, now, failed := &corev1.NodeList{}, s.Clock.Now(), troubles{}
	if err := s.Client.List(ctx, nodes); err != nil {
		return fmt.Errorf("list Nodes: %w", err)
	}
	for i := range nodes.Items {
		since, silent := silentSince(&nodes.Items[i])
		if !silent || now.Sub(since) < nodeGoneAfter {
			continue
		}
		pods := &corev1.PodList{}
		if err := s.Client.List(ctx, pods, client.MatchingFields{indexNode: nodes.Items[i].Name}); err != nil {
			return fmt.Errorf("list pods on node %s: %w", nodes.Items[i].Name, err)
		}
		for j := range pods.Items {
			_, err := s.Reconciler.releaseLost(ctx, []*corev1.Pod{&pods.Items[j]}, now)
			failed.add(err)
		}
	}
	return failed.join()
}

// nodeGone says in words that a pod's node is gone; empty while it is not, with the time until it will be.
func (r *Reconciler) nodeGone(ctx context.Context, pod *corev1.Pod, now time.Time) (gone string, left time.Duration, err error) {
	if pod.Spec.NodeName == "" || ended(pod) {
		return "", 0, nil
	}
	node := &corev1.Node{}
	switch err := r.Client.Get(ctx, types.NamespacedName{Name: pod.Spec.NodeName}, node); {
	case apierrors.IsNotFound(err):
		return "", 0, nil // Kubernetes' own collector of pods ends it
	case err != nil:
		return "", 0, fmt.Errorf("read Node %s: %w", pod.Spec.NodeName, err)
	}
	since, silent := silentSince(node)
	if !silent {
		return "", 0, nil
	}
	if left := since.Add(nodeGoneAfter).Sub(now); left > 0 {
		return "", left, nil
	}
	return fmt.Sprintf("node %s has not been ready since %s", node.Name, since.UTC().Format(time.RFC3339)), 0, nil
}

// abandon ends a pod whose kubelet cannot, and returns it as it then is. It is marked as failed first, as a disruption,
// which uses up no attempt: the Job controller keeps a pod that never failed (podReplacementPolicy), deleted or not.
func (r *Reconciler) abandon(ctx context.Context, pod *corev1.Pod, message string) (*corev1.Pod, error) {
	failed := pod.DeepCopy()
	failed.Status.Phase = corev1.PodFailed
	setPodCondition(&failed.Status, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: v1alpha1.ReasonNodeGone, Message: message,
		LastTransitionTime: metav1.NewTime(r.Clock.Now()),
	})
	// The patch fills its object with the API server's answer: what the caller gets is a copy of its own.
	err := r.Client.Status().Patch(ctx, failed.DeepCopy(), client.StrategicMergeFrom(pod))
	if client.IgnoreNotFound(err) != nil {
		return pod, fmt.Errorf("mark pod %s as failed: %w", pod.Name, conflict(err))
	}
	err = r.Client.Delete(ctx, pod, client.GracePeriodSeconds(0), client.Preconditions{UID: &pod.UID})
	if client.IgnoreNotFound(err) != nil {
		return pod, fmt.Errorf("delete pod %s, whose node is gone: %w", pod.Name, conflict(err))
	}
	return failed, nil
}

func setPodCondition(status *corev1.PodStatus, c corev1.PodCondition) {
	for i := range status.Conditions {
		if status.Conditions[i].Type == c.Type {
			status.Conditions[i] = c
			return
		}
	}
	status.Conditions = append(status.Conditions, c)
}

// sooner is the earlier of two times to look again, of which 0 is never.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
