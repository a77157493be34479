// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// recovery is how long a cluster may take until everything works again: leases end after 15 s,
// and kubelet waits before it starts a container anew that ended repeatedly.
const recovery = 4 * time.Minute

var _ = Describe("When something breaks", Label("faults"), func() {
	It("survives an image that kills the scanner: it fails alone, with advice, and the others are reported", func() {
		s := newSite().image(debian, "a.sif", "z.sif").image(crowded, "m.sif")
		scan := s.scan().limit(corev1.ResourceMemory, crowdedLimit).create()
		Eventually(get(scan)).WithTimeout(recovery).Should(beDone(degraded))

		Expect(outcomesOf(scan)).To(Equal(outcomes{
			"a.sif": v1alpha1.EntryScanned, "m.sif": v1alpha1.EntryFailed, "z.sif": v1alpha1.EntryScanned,
		}))
		Expect(reportOf(scan, "m.sif")).To(And(
			failWith(v1alpha1.ReasonOOMKilled, "limit of "+crowdedLimit),
			failWith(v1alpha1.ReasonOOMKilled, "raise spec.resources.limits.memory")))
		for _, path := range []string{"a.sif", "z.sif"} {
			Expect(reportOf(scan, path).Report.Summary).To(HaveField("Packages", BeEquivalentTo(debianPackages)))
		}
		Expect(podsOf(scan)).To(ContainElement(HaveField("Status.Phase", corev1.PodFailed)), "the kernel did kill a scanner")
	})

	It("runs one Job and keeps one report of each image when the operator is killed midway", Serial, func() {
		s := busySite()
		scan := s.busyScan().create()
		scanner := holdMidway(scan)
		before := jobsOf(scan)
		Expect(before).To(HaveLen(1))

		killed := operatorProcess()
		killed.signal(unix.SIGKILL)
		scanner.signal(unix.SIGCONT)
		Eventually(operatorProcess).ShouldNot(Equal(killed), "kubelet starts another")

		Eventually(get(scan)).WithTimeout(recovery).Should(beDone())
		Expect(jobsOf(scan)).To(HaveExactElements(HaveField("UID", before[0].UID)))
		Expect(podsOf(scan)).To(HaveLen(1))
		expectAllScannedOnce(scan, nil)
	})

	It("loses nothing when the API server is away for a minute at the end of a scan", Serial, func() {
		s := busySite()
		scan := s.busyScan().create()
		scanner := holdMidway(scan)
		reporter := awaitProcess(scan, "reporter")
		kept := reportsOf(scan)

		cluster("kill", "kube-apiserver")
		start := func() { cluster("start", "kube-apiserver") }
		DeferCleanup(start)
		scanner.signal(unix.SIGCONT)
		Consistently(func() bool { return scanner.alive() && reporter.alive() }, time.Minute).Should(BeTrue(), "the scan waits")
		start()

		Eventually(get(scan)).WithTimeout(recovery).Should(beDone())
		Expect(jobsOf(scan)).To(HaveLen(1))
		Expect(podsOf(scan)).To(HaveExactElements(HaveField("Status.Phase", corev1.PodSucceeded)))
		expectAllScannedOnce(scan, kept)
		for _, report := range reportsOf(scan) {
			Expect(document(report, "sbom.spdx.json")).To(ContainSubstring("musl"))
		}
	})
})

var _ = Describe("An image that takes long", func() {
	It("is scanned however often its scan is drained and suspended meanwhile", func() {
		s := newSite().image(crowded, "long.sif")
		scan := s.busyScan().create()
		for i := range 4 {
			scanner := awaitWorker(scan, "0")
			scanner.signal(unix.SIGSTOP) // or it might be through
			DeferCleanup(func() { _ = unix.Kill(scanner.pid, unix.SIGCONT) })
			pod, drained := podsOf(scan)[0], i%2 == 0
			if drained {
				Expect(admin.SubResource("eviction").Create(ctx, &pod, &policyv1.Eviction{
					ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
				})).To(Succeed())
			} else {
				change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = true })
				Eventually(get(&pod)).Should(HaveField("DeletionTimestamp", Not(BeNil())))
			}
			scanner.signal(unix.SIGCONT)
			Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(&pod), &pod) }).WithTimeout(recovery).
				Should(MatchError(apierrors.IsNotFound, "NotFound"))
			if !drained {
				change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = false })
			}
		}
		Eventually(get(scan)).WithTimeout(recovery).Should(HaveField("Status.CompletionTime", Not(BeNil())))
		Expect(outcomesOf(scan)).To(Equal(outcomes{"long.sif": v1alpha1.EntryScanned}))
	})
})

// operatorProcess returns the operator's process once there is one.
func operatorProcess() process {
	GinkgoHelper()
	var found process
	Eventually(func() bool {
		pod, err := operatorPod()
		if err != nil {
			return false
		}
		var ok bool
		found, ok = processOf(pod, "manager")
		return ok
	}).Should(BeTrue(), "the operator does not run")
	return found
}
