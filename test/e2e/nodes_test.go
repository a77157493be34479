// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// realNode is the one that kubelet stands behind, whatever nodes other specs have made.
func realNode() *corev1.Node {
	GinkgoHelper()
	nodes := &corev1.NodeList{}
	Expect(admin.List(ctx, nodes)).To(Succeed())
	i := slices.IndexFunc(nodes.Items, func(n corev1.Node) bool { return n.Status.NodeInfo.KubeletVersion != "" })
	Expect(i).To(BeNumerically(">=", 0))
	return &nodes.Items[i]
}

// fillNode has a pod ask for all CPU of the real node but some, and returns the node's name.
func fillNode(free string) string {
	GinkgoHelper()
	node, pods := realNode(), &corev1.PodList{}
	left := node.Status.Allocatable[corev1.ResourceCPU]
	left.Sub(resource.MustParse(free))
	awaitOthersGone(node.Name)
	Expect(admin.List(ctx, pods, client.MatchingFields{"spec.nodeName": node.Name})).To(Succeed())
	for _, pod := range pods.Items {
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		asked := resource.Quantity{}
		for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			asked.Add(*c.Resources.Requests.Cpu()) // more than the scheduler counts, where containers prepare the pod and end
		}
		left.Sub(asked)
	}
	s := siteWithoutClaim()
	filler := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "filler"}, Spec: corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		Containers: []corev1.Container{{
			Name: "none", Image: "none", ImagePullPolicy: corev1.PullNever, // it only has to be given its place
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			Resources:       corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: left}},
		}},
	}}
	Expect(admin.Create(ctx, filler)).To(Succeed())
	DeferCleanup(func() {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, filler, client.GracePeriodSeconds(0)))).To(Succeed())
	})
	Eventually(get(filler)).Should(HaveField("Spec.NodeName", node.Name))
	return node.Name
}

// awaitOthersGone waits until no pod of a node is about to go, as those of specs that are over are: what it asks for would be
// free later.
func awaitOthersGone(node string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		spaces, pods := &corev1.NamespaceList{}, &corev1.PodList{}
		g.Expect(admin.List(ctx, spaces)).To(Succeed())
		g.Expect(admin.List(ctx, pods, client.MatchingFields{"spec.nodeName": node})).To(Succeed())
		g.Expect(pods.Items).To(HaveEach(HaveField("DeletionTimestamp", BeNil())))
		for _, ns := range spaces.Items {
			if ns.DeletionTimestamp != nil {
				g.Expect(pods.Items).NotTo(ContainElement(HaveField("Namespace", ns.Name)))
			}
		}
	}).Should(Succeed())
}

// ghost is a node that the scheduler knows and that no machine stands behind: what is bound to it never starts.
type ghost struct{ *corev1.Node }

// pool labels the nodes that a scan of a ghost's may run on.
func (g ghost) pool() string { return "pool.e2e.sifscan.io/" + g.Name }

// newGhost makes a node that is ready. Kubernetes notices that it is not after 40 seconds.
func newGhost() ghost {
	GinkgoHelper()
	g := ghost{&corev1.Node{ObjectMeta: metav1.ObjectMeta{GenerateName: "ghost-"}}}
	g.Spec.Taints = []corev1.Taint{{Key: "e2e.sifscan.io/ghost", Effect: corev1.TaintEffectNoSchedule}}
	Expect(admin.Create(ctx, g.Node)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(admin.Delete(ctx, g.Node))).To(Succeed()) })
	change(g.Node, func(n *corev1.Node) { metav1.SetMetaDataLabel(&n.ObjectMeta, g.pool(), "") })
	g.report(func(s *corev1.NodeStatus) {
		s.Capacity = corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("10"),
		}
		s.Allocatable = s.Capacity
		s.Conditions = []corev1.NodeCondition{ready(corev1.ConditionTrue, 0)}
	})
	return g
}

func ready(status corev1.ConditionStatus, since time.Duration) corev1.NodeCondition {
	return corev1.NodeCondition{
		Type: corev1.NodeReady, Status: status, Reason: "Test", LastHeartbeatTime: metav1.Now(),
		LastTransitionTime: metav1.NewTime(time.Now().Add(-since)),
	}
}

// report plays kubelet.
func (g ghost) report(fn func(*corev1.NodeStatus)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(g.Node), g.Node); err != nil {
			return err
		}
		fn(&g.Status)
		return admin.Status().Update(ctx, g.Node)
	}).Should(Succeed())
}

// silent makes the node one that has not answered for some time.
func (g ghost) silent(since time.Duration) {
	GinkgoHelper()
	g.report(func(s *corev1.NodeStatus) {
		s.Conditions = []corev1.NodeCondition{ready(corev1.ConditionUnknown, since)}
	})
}

// offer lets the real node take what the ghost was to run.
func (g ghost) offer() {
	GinkgoHelper()
	n := realNode()
	change(n, func(n *corev1.Node) { metav1.SetMetaDataLabel(&n.ObjectMeta, g.pool(), "") })
	DeferCleanup(change[*corev1.Node], n, func(n *corev1.Node) { delete(n.Labels, g.pool()) })
}

// onGhost begins a SIFScan that only the ghost, or who is offered in its place, may run.
func (s *site) onGhost(g ghost) wrapper {
	w := s.scan()
	w.Spec.Scheduling.NodeSelector = map[string]string{g.pool(): ""}
	w.Spec.Scheduling.Tolerations = []corev1.Toleration{{Key: "e2e.sifscan.io/ghost", Operator: corev1.TolerationOpExists}}
	return w
}
