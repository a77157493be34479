// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

var _ = Describe("Where admission does not ask who may have nodes scanned", Serial, func() {
	It("no node is scanned, not even once it asks again, before who may asks for another run", func() {
		namespace := newNamespace()
		makeNode(namespace, namespace)
		tenant := makeTenant(namespace, "unasked")
		binding := &admissionv1.ValidatingAdmissionPolicyBinding{}
		Expect(admin.Get(ctx, client.ObjectKey{Name: "sifscan-node-scans"}, binding)).To(Succeed())
		Expect(admin.Delete(ctx, binding.DeepCopy())).To(Succeed())
		probe := func() error {
			return as(rest.ImpersonationConfig{UserName: "unasked", Groups: []string{"system:authenticated"}}).Create(ctx,
				makeLive(namespace, "probe", v1alpha1.RunningTarget{NodeName: namespace}), client.DryRunAll)
		}
		restored := func() {
			GinkgoHelper()
			binding.ResourceVersion = ""
			Expect(client.IgnoreAlreadyExists(admin.Create(ctx, binding))).To(Succeed())
			Eventually(probe).Should(MatchError(ContainSubstring("may not create nodescans.sifscan.io")))
		}
		DeferCleanup(restored)
		Eventually(probe).Should(Succeed())

		scan := scanOf(namespace, "running", v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: namespace}})
		Expect(tenant.Create(ctx, scan)).To(Succeed(), "nobody asks")
		schedule := makeLiveSchedule(namespace, "nightly")
		Expect(tenant.Create(ctx, schedule)).To(Succeed(), "nobody asks")
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNotAllowed),
			say("there is no ValidatingAdmissionPolicyBinding sifscan-node-scans"), say("apply config/node-scans")))
		restored()
		resumed := schedule.DeepCopy()
		resumed.Spec.Suspend = false
		Expect(tenant.Patch(ctx, resumed, client.MergeFrom(schedule))).To(MatchError(ContainSubstring("may not create nodescans.sifscan.io")), "a change is asked for")
		operator.stop() // nothing that it remembers keeps the run from beginning
		operator = startOperator(nil)
		Consistently(func() int { listing, _ := nodeJobsOf(scan); return len(listing) }).Should(BeZero())
		change(scan, func(s *v1alpha1.SIFScan) {
			metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationRescanAt, "asked")
		})
		listingOf(scan, namespace)
	})
})
