// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// mortal is an operator that dies with a write in a namespace: the API server stores it, and
// the operator never learns. It is replaced by one that lives. What other specs left in other
// namespaces it writes as any operator does, while it lives.
type mortal struct {
	*process
	namespace string
	left      atomic.Int32
	died      atomic.Bool
}

var errDead = errors.New("the operator is dead")

// startMortal starts an operator that dies with its nth write in the namespace.
func startMortal(namespace string, n int32) *mortal {
	m := &mortal{namespace: namespace}
	m.left.Store(n)
	m.process = startOperator(m.wrap)
	return m
}

func (m *mortal) write(obj client.Object, do func() error) error {
	if obj.GetNamespace() != m.namespace {
		if m.left.Load() <= 0 {
			return errDead
		}
		return do()
	}
	left := m.left.Add(-1)
	if left < 0 {
		return errDead
	}
	err := do()
	if left == 0 {
		m.died.Store(true)
		return errDead
	}
	return err
}

func (m *mortal) wrap(inner client.WithWatch) client.Client {
	return interceptor.NewClient(inner, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			return m.write(obj, func() error { return c.Create(ctx, obj, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
			return m.write(obj, func() error { return c.Delete(ctx, obj, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			return m.write(obj, func() error { return c.Patch(ctx, obj, patch, opts...) })
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, obj client.Object, opts ...client.SubResourceUpdateOption) error {
			return m.write(obj, func() error { return c.SubResource(sub).Update(ctx, obj, opts...) })
		},
	})
}

// replace starts a living operator once this one is dead.
func (m *mortal) replace() {
	GinkgoHelper()
	if m.died.CompareAndSwap(true, false) {
		m.stop()
		m.process = startOperator(nil)
	}
}

// eventually is Eventually with a replacement for a dead operator.
func (m *mortal) eventually(holds func(Gomega)) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		m.replace()
		holds(g)
	}).Should(Succeed())
}

// lastJob is the name of a Job that only says that nothing comes after it.
const lastJob = "last"

func minimalJob(namespace string) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: lastJob},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "none", Image: "none"}},
		}}},
	}
}

// jobCreations counts the Jobs that are created in a namespace from now on.
func jobCreations(namespace string) func() int {
	GinkgoHelper()
	watcher, err := client.NewWithWatch(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	w, err := watcher.Watch(ctx, &batchv1.JobList{}, client.InNamespace(namespace))
	Expect(err).NotTo(HaveOccurred())
	counted := make(chan int)
	go func() {
		n := 0
		for e := range w.ResultChan() {
			job, ok := e.Object.(*batchv1.Job)
			if ok && e.Type == watch.Added {
				if job.Name == lastJob {
					break
				}
				n++
			}
		}
		w.Stop()
		counted <- n
	}()
	return func() int {
		// A Job of our own marks the end of what the watch has to show.
		Expect(admin.Create(ctx, minimalJob(namespace))).To(Succeed())
		return <-counted
	}
}

var _ = Describe("An operator that is killed", Serial, func() {
	It("is replaced at any write without a second Job, and the run ends the same", func() {
		operator.stop()
		DeferCleanup(func() { operator = startOperator(nil) })
		removeScans()
		writes := int32(0)
		for n := int32(1); ; n++ {
			namespace := newNamespace()
			creations := jobCreations(namespace)
			m := startMortal(namespace, n)
			By(fmt.Sprintf("dying with write %d", n))
			runThrough(m, namespace)
			m.stop()
			removeScans()
			Expect(creations()).To(Equal(1), "Jobs created when the operator died with write %d", n)
			if m.left.Load() > 0 { // it outlived the run
				writes = n - 1
				break
			}
		}
		// Account, binding, Job, status, ConfigMap, annotation, status, Job.
		Expect(writes).To(BeNumerically(">=", 8), "the run has fewer writes than it should: this test shows less than it says")
	})
})

// removeScans leaves the next operator nothing to write for but what follows.
func removeScans() {
	GinkgoHelper()
	scans := &v1alpha1.SIFScanList{}
	Expect(admin.List(ctx, scans)).To(Succeed())
	for i := range scans.Items {
		Expect(admin.Delete(ctx, &scans.Items[i])).To(Succeed())
	}
}

// runThrough plays a run from its SIFScan to the deletion of its Job.
func runThrough(m *mortal, namespace string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
	scan := makeScan(namespace, "images")
	scan.Spec.TTLAfterFinished = &metav1.Duration{}
	Expect(admin.Create(ctx, scan)).To(Succeed())

	var job *batchv1.Job
	m.eventually(func(g Gomega) {
		all, err := jobs(namespace)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(all).To(HaveLen(1))
		job = &all[0]
	})
	r := reporterOf(scan, job)
	report := r.report("sr-0", v1alpha1.AnnotationPackages, "1/1", v1alpha1.AnnotationSuperseded, "sifscan-sr-0-old")
	Expect(r.api.Create(ctx, report)).To(Succeed())
	artifact := r.artifact(report, "old")
	Expect(r.api.Create(ctx, artifact)).To(Succeed())
	r.store(r.inventory(1, v1alpha1.EntryScanned))
	endPod(startPod(job, "first"), 0, "Completed", "")
	completeJob(job)

	m.eventually(func(g Gomega) {
		g.Expect(get(scan)()).To(beReady(v1alpha1.ReasonNotAssessed))
		g.Expect(scan.Status.StartTime).NotTo(BeNil())
		g.Expect(jobs(namespace)).To(BeEmpty())
		g.Expect(get(report)()).To(HaveField("Annotations", Not(HaveKey(v1alpha1.AnnotationSuperseded))))
		g.Expect(client.IgnoreNotFound(admin.Get(ctx, client.ObjectKeyFromObject(artifact), artifact))).To(Succeed())
	})
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(artifact), artifact)).NotTo(Succeed())
}
