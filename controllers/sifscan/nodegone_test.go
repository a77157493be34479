// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

func makeNode(ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "n", Labels: map[string]string{"pool": "cpu"}, Annotations: map[string]string{"a": "b"}},
		Spec:       corev1.NodeSpec{PodCIDR: "10.0.0.0/24", Unschedulable: true, Taints: []corev1.Taint{{Key: "hpc"}}},
		Status: corev1.NodeStatus{
			Images: []corev1.ContainerImage{{Names: []string{"agent:dev"}}},
			Conditions: []corev1.NodeCondition{
				{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
				{Type: corev1.NodeReady, Status: ready, Reason: "KubeletReady", Message: "kubelet is posting ready status",
					LastHeartbeatTime: metav1.NewTime(epoch.Add(time.Hour)), LastTransitionTime: metav1.NewTime(epoch)},
			},
		},
	}
}

func TestSinceWhenANodeIsSilent(t *testing.T) {
	for _, tc := range []struct {
		name   string
		node   *corev1.Node
		silent bool
	}{
		{"ready", makeNode(corev1.ConditionTrue), false},
		{"not ready", makeNode(corev1.ConditionFalse), true},
		{"nothing was heard of it", makeNode(corev1.ConditionUnknown), true},
		{"new: kubelet has not said anything yet", &corev1.Node{}, false},
	} {
		since, silent := silentSince(tc.node)
		if silent != tc.silent || silent && !since.Equal(epoch) {
			t.Errorf("%s: %v, %v", tc.name, since, silent)
		}
	}
}

// podsOnNodes is an API server with nodes and an unfinished pod of a Job on each.
func podsOnNodes(t *testing.T, job *batchv1.Job, nodes ...*corev1.Node) (*Reconciler, []*corev1.Pod, func(*corev1.Pod) bool) {
	t.Helper()
	var objects []client.Object
	var pods []*corev1.Pod
	for i, node := range nodes {
		node.Name = fmt.Sprint("n", i)
		pod := makePod(job).named("pod-on-" + node.Name).on(node.Name).phase(corev1.PodRunning).obj()
		objects, pods = append(objects, node, pod), append(pods, pod)
	}
	server := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithStatusSubresource(&corev1.Pod{}).WithObjects(objects...).
		WithIndex(&corev1.Pod{}, indexNode, byNode).Build()
	there := func(pod *corev1.Pod) bool {
		return server.Get(t.Context(), client.ObjectKeyFromObject(pod), pod.DeepCopy()) == nil
	}
	return &Reconciler{Client: cacheOf(server), Live: server, Clock: testingclock.NewFakePassiveClock(epoch.Add(nodeGoneAfter)), Config: nodeConfig()}, pods, there
}

func TestWhatIsLeftOfARunThatIsOverIsGivenUpWhereItsNodeIsGone(t *testing.T) {
	r, pods, there := podsOnNodes(t, makeScan().job(), makeNode(corev1.ConditionUnknown), makeNode(corev1.ConditionTrue), makeNode(corev1.ConditionFalse))
	p := &pass{scan: makeScan().obj(), now: epoch.Add(nodeGoneAfter - time.Minute), children: children{pods: pods[:1], strays: pods[1:]}}
	if look, err := r.takeDown(t.Context(), p); err != nil || look != time.Minute || !there(pods[0]) {
		t.Fatalf("a minute too early: again after %v, %v", look, err)
	}
	p.now = epoch.Add(nodeGoneAfter)
	if look, err := r.takeDown(t.Context(), p); err != nil || look != nodeGoneAfter {
		t.Errorf("a pod is left, whose node may go: again after %v, %v", look, err)
	}
	if got := []bool{there(pods[0]), there(pods[1]), there(pods[2])}; !slices.Equal(got, []bool{false, true, false}) {
		t.Errorf("left: %v", got)
	}
	p.children = children{pods: []*corev1.Pod{makePod(makeScan().job()).on("n0").scannerEnded(0, "Completed", "").obj()}}
	if look, err := r.takeDown(t.Context(), p); err != nil || look != 0 {
		t.Errorf("all have ended: again after %v, %v", look, err)
	}
}

// Of their SIFScans nothing is there.
func TestPodsThatNobodyAsksForAreGivenUpWhereTheirNodeIsGone(t *testing.T) {
	for name, namespace := range map[string]string{"of running containers": NodeScansNamespace, "of a volume": "hpc"} {
		job := makeScan().job()
		job.Namespace = namespace
		r, pods, there := podsOnNodes(t, job, makeNode(corev1.ConditionUnknown), makeNode(corev1.ConditionTrue))
		s := sweeper{r}
		r.Clock = testingclock.NewFakePassiveClock(epoch.Add(nodeGoneAfter - time.Second))
		if err := s.releaseLost(t.Context()); err != nil || !there(pods[0]) {
			t.Errorf("%s, a second too early: there %v, %v", name, there(pods[0]), err)
		}
		r.Clock = testingclock.NewFakePassiveClock(epoch.Add(nodeGoneAfter))
		if err := s.releaseLost(t.Context()); err != nil || there(pods[0]) || !there(pods[1]) {
			t.Errorf("%s, on the node that is gone: there %v, on the other: %v, %v", name, there(pods[0]), there(pods[1]), err)
		}
	}
}

func TestOnlyAChangeOfReadinessIsLookedAt(t *testing.T) {
	beat := makeNode(corev1.ConditionTrue)
	beat.Status.Conditions[1].LastHeartbeatTime = metav1.NewTime(epoch.Add(2 * time.Hour))
	for _, tc := range []struct {
		name        string
		before, now *corev1.Node
		want        bool
	}{
		{"a heartbeat", makeNode(corev1.ConditionTrue), beat, false},
		{"it stopped", makeNode(corev1.ConditionTrue), makeNode(corev1.ConditionUnknown), true},
		{"it is back", makeNode(corev1.ConditionFalse), makeNode(corev1.ConditionTrue), true},
		{"it is still silent", makeNode(corev1.ConditionFalse), makeNode(corev1.ConditionUnknown), false},
	} {
		if got := readinessChanged().Update(event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.now}); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestCachesForgetWhatTheOperatorWroteItself(t *testing.T) {
	job := makeScan().job()
	job.Spec.Suspend = ptr.To(false)
	pod := makePod(job).on("n1").scannerEnded(137, "OOMKilled", "").obj()
	want, _ := deathOf(pod)

	kept, _ := compact(job.DeepCopy())
	if diff := cmp.Diff(batchv1.JobSpec{Suspend: job.Spec.Suspend, Completions: job.Spec.Completions, Parallelism: job.Spec.Parallelism}, kept.(*batchv1.Job).Spec); diff != "" {
		t.Errorf("Job (-want +got):\n%s", diff)
	}
	if _, err := compact(pod); err != nil {
		t.Fatal(err)
	}
	if len(pod.Spec.Volumes)+len(pod.Spec.InitContainers)+len(pod.Spec.Containers[0].Args) > 0 {
		t.Errorf("the cache keeps %+v", pod.Spec)
	}
	if got, _ := deathOf(pod); got != want {
		t.Errorf("what is left of a pod says %q of its death, the pod %q", got, want)
	}

	node, _ := keepReadiness(makeNode(corev1.ConditionTrue))
	if diff := cmp.Diff(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "n", Labels: map[string]string{"pool": "cpu"}},
		Spec:       corev1.NodeSpec{Unschedulable: true, Taints: []corev1.Taint{{Key: "hpc"}}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastTransitionTime: metav1.NewTime(epoch)},
		}},
	}, node); diff != "" {
		t.Errorf("node (-want +got):\n%s", diff)
	}
}

func TestSoonerTakesNeverForLater(t *testing.T) {
	for _, tc := range [][3]time.Duration{{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {1, 2, 1}, {2, 1, 1}} {
		if got := sooner(tc[0], tc[1]); got != tc[2] {
			t.Errorf("sooner(%d, %d) = %d, want %d", tc[0], tc[1], got, tc[2])
		}
	}
}
