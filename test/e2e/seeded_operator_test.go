// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/test/faults"
)

// replicas of the operator, while a plan is carried out: one is at work, the other waits for its lease.
const (
	replicas          = 2
	operatorNamespace = "sifscan-system"
	operatorLease     = "manager.sifscan.io"
)

// withReplicas runs as many operators, and one again after the spec.
func withReplicas() {
	GinkgoHelper()
	scale := func(n int) {
		GinkgoHelper()
		deployment := &appsv1.Deployment{}
		deployment.Namespace, deployment.Name = operatorNamespace, "sifscan-manager"
		patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n))
		Expect(admin.Patch(ctx, deployment, patch)).To(Succeed())
		Eventually(func() ([]corev1.Pod, error) { return operatorPods() }).WithTimeout(recovery).Should(HaveLen(n))
	}
	DeferCleanup(scale, 1)
	scale(replicas)
}

// operatorPods returns the operator's pods.
func operatorPods() ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := admin.List(ctx, pods, client.InNamespace(operatorNamespace), client.MatchingLabels{"app.kubernetes.io/component": "manager"})
	return pods.Items, err
}

// operatorPod returns the operator's pod, if there is just one.
func operatorPod() (*corev1.Pod, error) {
	pods, err := operatorPods()
	if err != nil {
		return nil, err
	}
	if len(pods) != 1 {
		return nil, fmt.Errorf("the operator has %d pods", len(pods))
	}
	return &pods[0], nil
}

// leader returns the operator's pod that is at work.
func leader() (*corev1.Pod, error) {
	lease := &coordinationv1.Lease{}
	if err := admin.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: operatorLease}, lease); err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(ptr.Deref(lease.Spec.HolderIdentity, ""), "_")
	valid := time.Duration(ptr.Deref(lease.Spec.LeaseDurationSeconds, 0)) * time.Second
	if lease.Spec.RenewTime == nil || time.Since(lease.Spec.RenewTime.Time) > valid {
		return nil, fmt.Errorf("no operator is at work: the lease of %q is over", name)
	}
	pod := &corev1.Pod{}
	return pod, admin.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: name}, pod)
}

// hitOperator kills or stops the operator that is at work. Whichever of the replicas goes on must do so where this one left off.
func (f *field) hitOperator(signal unix.Signal, during time.Duration) error {
	var pod *corev1.Pod
	var target *os.Process
	err := until(ctx, recovery, func() (err error) {
		if pod, err = leader(); err != nil {
			return err
		}
		p, ok := processOf(pod, "manager")
		if !ok {
			return errors.New("the operator does not run")
		}
		target, err = os.FindProcess(p.pid)
		return err
	})
	if err != nil {
		return err
	}
	defer target.Release() //nolint:errcheck // closes a descriptor
	if err := target.Signal(signal); err != nil {
		return err
	}
	stopped := time.Now()
	other := func() error {
		now, err := leader() // until its lease is over, the one that was struck
		if err == nil && now.UID == pod.UID {
			err = fmt.Errorf("%s, which was struck, is said to be at work", pod.Name)
		}
		return err
	}
	if signal == unix.SIGKILL {
		// Kubelet starts it again at once: either may be the next that gets the lease.
		f.tookOver(until(ctx, faults.Takeover, other) == nil)
		return nil
	}
	if during >= faults.Takeover {
		err = until(ctx, during, other)
		f.tookOver(err == nil)
	}
	pause(ctx, time.Until(stopped.Add(during)))
	_ = target.Signal(unix.SIGCONT) // it may have been killed meanwhile, by its liveness probe for one
	return err
}

func (f *field) tookOver(other bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if other {
		f.takeovers++
	}
}

// works reports what does not work yet after a fault. What the API server tells of a process may be old: it must be there.
func works() error {
	nodes := &corev1.NodeList{}
	if err := admin.List(ctx, nodes); err != nil {
		return err
	}
	for _, n := range nodes.Items {
		for _, c := range n.Status.Conditions {
			if (c.Status == corev1.ConditionTrue) != (c.Type == corev1.NodeReady) {
				return fmt.Errorf("node %s: %s is %s: %s", n.Name, c.Type, c.Status, c.Message)
			}
		}
	}
	pods, err := operatorPods()
	if err != nil {
		return err
	}
	if len(pods) != replicas {
		return fmt.Errorf("the operator has %d pods", len(pods))
	}
	for i := range pods {
		p, runs := processOf(&pods[i], "manager")
		if !runs || !p.alive() || !pods[i].Status.ContainerStatuses[0].Ready {
			return fmt.Errorf("the operator %s is %s and not ready", pods[i].Name, pods[i].Status.Phase)
		}
	}
	_, err = leader()
	return err
}

// replaceOperator gives the operator another pod, as long as the plan is carried out, whenever kubelet would let it wait up to five
// minutes because it died several times: how long kubelet waits is not what is tested. An evicted one leaves a pod behind,
// which says that it succeeded where kubelet was struck at that time.
func replaceOperator(during context.Context) {
	for pause(during, 2*time.Second) {
		pods, err := operatorPods()
		if err != nil {
			continue // without an API server
		}
		for i := range pods {
			pod := &pods[i]
			waits := slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool {
				return s.State.Waiting != nil && s.State.Waiting.Reason == "CrashLoopBackOff"
			})
			if waits || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
				_ = admin.Delete(during, pod, client.GracePeriodSeconds(0)) // or the next time
			}
		}
	}
}
