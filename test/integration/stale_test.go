// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

// uncached is a client in the place of the operator's, without a cache. Only caches have the operator's indices; the
// labels, which it names besides, select the same.
func uncached() client.WithWatch {
	GinkgoHelper()
	inner, err := client.NewWithWatch(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return interceptor.NewClient(inner, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			return c.List(ctx, list, slices.DeleteFunc(slices.Clone(opts), func(opt client.ListOption) bool {
				_, byIndex := opt.(client.MatchingFields)
				return byIndex
			})...)
		},
	})
}

// behind is a cache that shows one SIFScan as it was, and no Job.
func behind(old *v1alpha1.SIFScan) client.Client {
	GinkgoHelper()
	return interceptor.NewClient(uncached(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if scan, ok := obj.(*v1alpha1.SIFScan); ok {
				old.DeepCopyInto(scan)
				return nil
			}
			return c.Get(ctx, key, obj, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*batchv1.JobList); ok {
				return nil
			}
			return c.List(ctx, list, opts...)
		},
	})
}

var _ = Describe("An operator whose cache is behind", func() {
	look := func(old *v1alpha1.SIFScan) (ctrl.Result, error) {
		r := &sifscan.Reconciler{
			Client: behind(old), Live: admin, Clock: now, Events: events.NewFakeRecorder(10),
			Config: sifscan.OperatorConfig{AgentImage: "a", Identity: sifscan.Identity{User: 1, Group: 1}},
		}
		return r.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(old)})
	}

	It("does not start a finished run again whose Job is gone", func() {
		namespace := newNamespace()
		scan, job := startedScan(namespace)
		running := scan.DeepCopy()
		succeed(scan, job)
		Expect(admin.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		finishPods(namespace)

		result, err := look(running)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeNumerically(">", 0), "it looks again")
		Expect(jobs(namespace)).To(BeEmpty())
		Expect(get(scan)()).To(beReady(v1alpha1.ReasonNotAssessed))
	})

	It("adopts the Job that it made and does not see", func() {
		namespace := newNamespace()
		scan, job := startedScan(namespace)
		Eventually(get(scan)).Should(beWaiting(v1alpha1.ReasonRunning))
		_, err := look(scan.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		Expect(jobs(namespace)).To(ConsistOf(HaveField("UID", job.UID)))
		Expect(get(scan)()).To(beWaiting(v1alpha1.ReasonRunning))
	})
})
