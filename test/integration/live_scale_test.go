// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

const (
	manyNodes = 500
	// podTime is how long the simulated pod of a node takes, from the Job to its end. Real ones take some
	// seconds, most of which a pod needs to start; with these the whole takes ten rounds of slots.
	podTime = 2 * time.Second
	// within is what 500 nodes may take.
	within = 5 * time.Minute
)

// fleet plays the Job controller and the kubelets of many nodes, and counts Jobs as the API server tells of them.
type fleet struct {
	scan *v1alpha1.SIFScan
	mu   sync.Mutex
	open map[types.UID]bool
	seen map[string]int
	most int
	work sync.WaitGroup
}

// run plays until ctx ends.
func (f *fleet) run(ctx context.Context) {
	defer GinkgoRecover()
	watching, err := client.NewWithWatch(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	events, err := watching.Watch(ctx, &batchv1.JobList{}, client.InNamespace(nodeNamespace), client.MatchingLabels{v1alpha1.LabelScanUID: string(f.scan.UID)})
	Expect(err).NotTo(HaveOccurred())
	defer events.Stop()
	for event := range events.ResultChan() {
		job, ok := event.Object.(*batchv1.Job)
		if ctx.Err() != nil {
			return
		}
		Expect(ok).To(BeTrue(), "%v", event.Object)
		f.count(event.Type, job)
	}
}

func (f *fleet) count(what watch.EventType, job *batchv1.Job) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, over := conditionOf(job); over || what == watch.Deleted {
		delete(f.open, job.UID)
		return
	}
	if f.open[job.UID] {
		return
	}
	f.open[job.UID] = true
	f.most = max(f.most, len(f.open))
	f.seen[job.Annotations[v1alpha1.AnnotationNode]]++
	f.work.Go(func() {
		defer GinkgoRecover()
		<-time.After(podTime)
		f.finish(job)
	})
}

// finish is the end of a simulated pod: every node runs the one image of a job, as the ranks of a large one do.
func (f *fleet) finish(job *batchv1.Job) {
	r := nodeReporter(f.scan, job)
	if keys := keysOf(job); len(keys) > 0 {
		Expect(r.api.Create(ctx, r.liveReport("pytorch", job.Annotations[v1alpha1.AnnotationNode]))).To(Succeed())
		r.containers(container("pytorch", func(c *v1alpha1.InventoryContainer) { c.Report = "sr-pytorch" }))
	} else {
		r.containers(container("pytorch"))
	}
	finishNode(job, "")
}

// endLive deletes what other specs left of scans of nodes, which would have its part of the slots.
func endLive() {
	GinkgoHelper()
	scans := &v1alpha1.SIFScanList{}
	Expect(admin.List(ctx, scans)).To(Succeed())
	for i := range scans.Items {
		if scans.Items[i].Spec.Target.Running != nil {
			Expect(client.IgnoreNotFound(admin.Delete(ctx, &scans.Items[i]))).To(Succeed())
		}
	}
	Eventually(func() []batchv1.Job {
		jobs := &batchv1.JobList{}
		Expect(admin.List(ctx, jobs, client.InNamespace(nodeNamespace))).To(Succeed())
		return jobs.Items
	}).Should(BeEmpty())
}

var _ = Describe("Five hundred nodes", Serial, func() {
	It("are listed within five minutes, never more than the slots at a time, and one of them reads what all run", func() {
		endLive()
		namespace := newNamespace()
		// A connection takes 100 requests at once. For 500 the client opened others, one of which the API server closed on a busy
		// machine, and 100 nodes were not made: a server gives a connection two seconds for its first frame (net/http2,
		// firstSettingsTimeout).
		const atOnce = 20
		var nodes sync.WaitGroup
		for first := range atOnce {
			nodes.Go(func() {
				defer GinkgoRecover()
				for i := first; i < manyNodes; i += atOnce {
					makeManyNode(fmt.Sprintf("%s-%03d", namespace, i), namespace)
				}
			})
		}
		nodes.Wait()
		DeferCleanup(func() {
			Expect(admin.DeleteAllOf(ctx, &corev1.Node{}, client.MatchingLabels{"pool": namespace})).To(Succeed())
		})

		scan := scanOf(namespace, "all", v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeSelector: map[string]string{"pool": namespace}}})
		scan.Spec.Suspend = true
		Expect(admin.Create(ctx, scan)).To(Succeed())
		f := &fleet{scan: scan.DeepCopy(), open: map[types.UID]bool{}, seen: map[string]int{}}
		playing, stop := context.WithCancel(ctx)
		DeferCleanup(func() { stop(); f.work.Wait() })
		go f.run(playing)
		begin := time.Now()
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = false })
		Eventually(get(scan)).WithTimeout(within).WithPolling(time.Second).Should(beReady(v1alpha1.ReasonSucceeded))
		took := time.Since(begin)

		f.mu.Lock()
		defer f.mu.Unlock()
		AddReportEntry("500 nodes", fmt.Sprintf("%s, at most %d of %d slots", took.Round(time.Second), f.most, sifscan.DefaultNodeSlots))
		Expect(f.most).To(Equal(sifscan.DefaultNodeSlots), "all slots are used, and never more")
		Expect(f.seen).To(HaveLen(manyNodes))
		read := 0
		for _, n := range f.seen {
			read += n - 1
		}
		Expect(read).To(Equal(1), "one node reads the image that all of them run")
		Expect(scan.Status.Nodes).To(HaveValue(Equal(v1alpha1.NodeCounts{Selected: manyNodes, Done: manyNodes})))
		Expect(scan.Status.Containers).To(HaveValue(Equal(v1alpha1.ContainerCounts{Found: manyNodes, Images: 1})))
		inventories := &v1alpha1.ScanInventoryList{}
		Expect(admin.List(ctx, inventories, client.InNamespace(namespace))).To(Succeed())
		Expect(inventories.Items).To(HaveLen(manyNodes))
		for _, i := range inventories.Items {
			Expect(i.Containers[0].Report).To(Equal("sr-pytorch"), i.Worker.Node)
		}
	})
})

// makeManyNode makes a node, whose cleanup is that of all.
func makeManyNode(name, pool string) {
	GinkgoHelper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pool": pool}}}
	Expect(admin.Create(ctx, node)).To(Succeed())
	node.Spec.Taints = nil
	Expect(admin.Update(ctx, node)).To(Succeed())
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	Expect(admin.Status().Update(ctx, node)).To(Succeed())
}
