// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/nodepolicy"
)

// unasked are the conditions of a SIFScan whose author nobody asked.
const unasked = "Asked=False/NotAllowed Complete=False/NotAllowed Ready=False/NotAllowed Stalled=True/NotAllowed"

// unenforced takes the policy away that asks who may have nodes scanned, and returns what brings it back.
func unenforced(namespace, user string) (restored func()) {
	GinkgoHelper()
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: nodepolicy.Name}, binding)).To(Succeed())
	Expect(admin.Delete(ctx, binding.DeepCopy())).To(Succeed())
	probe := func() error {
		return as(rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}).Create(ctx,
			makeLive(namespace, "probe", v1alpha1.RunningTarget{NodeName: namespace}), client.DryRunAll)
	}
	restored = func() {
		GinkgoHelper()
		binding.ResourceVersion = ""
		Expect(client.IgnoreAlreadyExists(admin.Create(ctx, binding))).To(Succeed())
		Eventually(probe).Should(MatchError(ContainSubstring("may not create nodescans.sifscan.io")))
		awaitNodePolicy()
	}
	DeferCleanup(restored)
	Eventually(probe).Should(Succeed())
	return restored
}

// awaitNodePolicy waits until what is made is younger than the policy, by as much as the operator asks for.
func awaitNodePolicy() {
	GinkgoHelper()
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: nodepolicy.Name}, binding)).To(Succeed())
	Eventually(func() time.Duration { return time.Since(binding.CreationTimestamp.Time) }).Should(BeNumerically(">", 4*time.Second))
}

var _ = Describe("Where admission does not ask who may have nodes scanned", Serial, func() {
	var namespace string
	var tenant client.Client
	var scan *v1alpha1.SIFScan
	var schedule *v1alpha1.ScanSchedule
	made := func() {
		GinkgoHelper()
		scan = scanOf(namespace, "running", v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: namespace}})
		Expect(tenant.Create(ctx, scan)).To(Succeed(), "nobody asks")
		schedule = makeLiveSchedule(namespace, "nightly")
		schedule.Spec.Template.Spec.Target.Running.NodeName = namespace
		schedule.Spec.Suspend = false
		metav1.SetMetaDataAnnotation(&schedule.ObjectMeta, v1alpha1.AnnotationRunNow, "unasked")
		Expect(tenant.Create(ctx, schedule)).To(Succeed(), "nobody asks")
	}
	// changed is the ScanSchedule of somebody who edits it.
	changed := func() *v1alpha1.ScanSchedule {
		edited := schedule.DeepCopy()
		edited.Spec.Schedule = "@monthly"
		return edited
	}
	BeforeEach(func() {
		namespace = newNamespace()
		makeNode(namespace, namespace)
		tenant = makeTenant(namespace, "unasked")
	})

	It("no node is scanned, not even once it asks again, before who may asks for another run", func() {
		restored := unenforced(namespace, "unasked")
		made()
		Eventually(get(scan)).Should(And(have(unasked),
			say("there is no ValidatingAdmissionPolicyBinding sifscan-node-scans"), say("apply config/node-scans")))
		Eventually(readySaid(schedule)).Should(And(HavePrefix("False/NotAllowed"), ContainSubstring("there is no ValidatingAdmissionPolicyBinding sifscan-node-scans")))
		restored()
		Expect(tenant.Patch(ctx, changed(), client.MergeFrom(schedule))).To(MatchError(ContainSubstring("may not create nodescans.sifscan.io")), "a change is asked for")
		operator.stop() // nothing that it remembers keeps the run from beginning
		operator = startOperator(nil)
		Eventually(get(scan)).Should(say("was there before ValidatingAdmissionPolicy sifscan-node-scans was in force; then set the annotation"))
		Consistently(func() int { listing, _ := nodeJobsOf(scan); return len(listing) }).Should(BeZero())
		change(scan, func(s *v1alpha1.SIFScan) {
			metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationRescanAt, "asked")
		})
		listingOf(scan, namespace)
	})

	It("nothing begins that was made while no operator looked, and a ScanSchedule makes no SIFScan before who may changes it", func() {
		operator.stop()
		restored := unenforced(namespace, "unasked")
		made()
		restored()
		operator = startOperator(nil)
		Eventually(get(scan)).Should(And(have(unasked), say("was there before ValidatingAdmissionPolicy sifscan-node-scans was in force")))
		Eventually(readySaid(schedule)).Should(And(HavePrefix("False/NotAllowed"), ContainSubstring("then change the ScanSchedule, or set annotation sifscan.io/run-now")))
		Consistently(scansOf(schedule)).Should(ConsistOf(scan.Name))
		Expect(tenant.Patch(ctx, changed(), client.MergeFrom(schedule))).To(MatchError(ContainSubstring("may not create nodescans.sifscan.io")))
		Expect(admin.Patch(ctx, changed(), client.MergeFrom(schedule))).To(Succeed(), "who may is asked")
		Eventually(scansOf(schedule)).Should(HaveLen(2))
		Eventually(readySaid(schedule)).Should(HavePrefix("True/Scheduled"))
	})

	It("nothing begins with a binding that was edited and edited back, before it is made anew", func() {
		binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: nodepolicy.Name}}
		for _, action := range []admissionv1.ValidationAction{admissionv1.Audit, admissionv1.Deny} {
			change(binding, func(b *admissionv1.ValidatingAdmissionPolicyBinding) {
				b.Spec.ValidationActions = []admissionv1.ValidationAction{action}
			})
		}
		running := func(name string) *v1alpha1.SIFScan {
			return scanOf(namespace, name, v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: namespace}})
		}
		scan = running("of-an-edited-binding")
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(have(unasked), say("ValidatingAdmissionPolicyBinding sifscan-node-scans was edited"), say("has to be deleted first")))
		unenforced(namespace, "unasked")()
		scan = running("of-one-made-anew")
		Expect(admin.Create(ctx, scan)).To(Succeed())
		listingOf(scan, namespace)
	})
})

// readySaid reads what a ScanSchedule's Ready says.
func readySaid(s *v1alpha1.ScanSchedule) func() (string, error) {
	return func() (string, error) {
		is := &v1alpha1.ScanSchedule{}
		err := admin.Get(ctx, client.ObjectKeyFromObject(s), is)
		return readyOf(is), err
	}
}
