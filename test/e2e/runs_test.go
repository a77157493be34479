// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

var _ = Describe("When a scan runs", func() {
	It("waits for a claim that comes later, and says so", func() {
		s := siteWithoutClaim().image(alpine, "a.sif")
		scan := s.scan().create()
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonVolumeNotFound), say("PersistentVolumeClaim "+claimName)))
		s.claim()
		Eventually(get(scan)).Should(beDone())
	})

	It("runs again when the spec asks for other images, and does not open what is unchanged", func() {
		s := newSite().image(debian, "a.sif").image(alpine, "b.sif")
		opened := watchOpens(s.path("a.sif"))
		scan := s.scan().paths("a.sif").create()
		Eventually(get(scan)).Should(beDone())
		first := scan.Status.RunID
		before := reportOf(scan, "a.sif")
		Expect(opened()).To(BeTrue(), "the first run reads the image")

		change(scan, func(scan *v1alpha1.SIFScan) { scan.Spec.Target.Volume.Paths = []v1alpha1.PathPattern{"a.sif", "b.sif"} })
		Eventually(get(scan)).Should(And(beDone(), HaveField("Status.RunID", Not(Equal(first)))))
		Expect(outcomesOf(scan)).To(Equal(outcomes{"a.sif": v1alpha1.EntryUnchanged, "b.sif": v1alpha1.EntryScanned}))
		Expect(opened()).To(BeFalse(), "the second run does not")
		Expect(reportOf(scan, "a.sif").ResourceVersion).To(Equal(before.ResourceVersion), "an unchanged image costs no write")
		Expect(scan.Status.Targets).To(HaveValue(Equal(v1alpha1.TargetCounts{Discovered: 2, Scanned: 1, Unchanged: 1})))
	})

	It("scans an image again that was replaced", func() {
		s := newSite().image(alpine, "a.sif")
		scan := s.scan().create()
		Eventually(get(scan)).Should(beDone())
		s.image(debian, "a.sif")
		rescan(scan, "after the update")
		Eventually(get(scan)).Should(beDone())
		Expect(outcomesOf(scan)).To(Equal(outcomes{"a.sif": v1alpha1.EntryScanned}))
		Expect(reportOf(scan, "a.sif").Report.OS).To(HaveField("Family", "debian"))
	})

	It("removes the Job and keeps the reports when its time is over", func() {
		s := newSite().image(alpine, "a.sif")
		scan := s.scan().ttl(0).create()
		Eventually(get(scan)).Should(beDone())
		Eventually(func() int { return len(jobsOf(scan)) + len(podsOf(scan)) }).Should(BeZero())
		Expect(get(scan)()).To(beDone())
		Expect(document(reportOf(scan, "a.sif"), "sbom.spdx.json")).To(ContainSubstring("musl"))
	})

	It("does not start while it is suspended", func() {
		s := newSite().image(alpine, "a.sif")
		scan := s.scan().suspended().create()
		Eventually(get(scan)).Should(beSuspended())
		Expect(jobsOf(scan)).To(BeEmpty())
		change(scan, func(scan *v1alpha1.SIFScan) { scan.Spec.Suspend = false })
		Eventually(get(scan)).Should(beDone())
	})

	It("ends the Job when it is suspended midway, and takes up where it was", func() {
		s := busySite()
		scan := s.busyScan().create()
		scanner := holdMidway(scan)
		change(scan, func(scan *v1alpha1.SIFScan) { scan.Spec.Suspend = true })
		scanner.goOnToEnd()
		Eventually(get(scan)).Should(beSuspended())
		Eventually(func() int { return len(jobsOf(scan)) + len(podsOf(scan)) }).Should(BeZero())
		kept := reportsOf(scan)
		Expect(kept).NotTo(BeEmpty())
		Expect(len(kept)).To(BeNumerically("<", many))

		change(scan, func(scan *v1alpha1.SIFScan) { scan.Spec.Suspend = false })
		Eventually(get(scan)).Should(beDone())
		expectAllScannedOnce(scan, kept)
	})

	It("goes on in a new Job when somebody deletes the running one", func() {
		s := busySite()
		scan := s.busyScan().create()
		scanner := holdMidway(scan)
		job := jobsOf(scan)[0]
		kept := reportsOf(scan)
		Expect(admin.Delete(ctx, &job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		scanner.signal(unix.SIGCONT)

		Eventually(get(scan)).Should(beDone())
		Expect(jobsOf(scan)).To(HaveExactElements(HaveField("UID", Not(Equal(job.UID)))))
		expectAllScannedOnce(scan, kept)
	})

	It("is ended with it when it is deleted midway: nothing of it stays but the reports", func() {
		s := busySite()
		scan := s.busyScan().create()
		scanner := holdMidway(scan)
		Eventually(func() []v1alpha1.ScanInventory { return inventoriesIn(scan.Namespace) }).ShouldNot(BeEmpty())
		kept := len(reportsOf(scan))
		Expect(admin.Delete(ctx, scan)).To(Succeed())
		scanner.signal(unix.SIGCONT)
		Eventually(func() int { return len(jobsOf(scan)) + len(podsOf(scan)) + len(inventoriesIn(scan.Namespace)) }).Should(BeZero())
		Expect(scanner.alive()).To(BeFalse())
		Expect(len(reportsOf(scan))).To(BeNumerically(">=", kept))
	})

	It("on a node is ended there when it is deleted, though nothing owns its Jobs", func() {
		s := siteWithoutClaim()
		w := wrapper{&v1alpha1.SIFScan{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "running"},
			Spec:       v1alpha1.SIFScanSpec{Target: v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: realNode().Name, ListOnly: true}}},
		}}
		scan := w.create()
		left := func(lists ...client.ObjectList) (n int) {
			for _, list := range lists {
				Expect(admin.List(ctx, list, client.InNamespace(nodeNamespace), client.MatchingLabels{v1alpha1.LabelScanUID: string(scan.UID)})).To(Succeed())
				n += meta.LenList(list)
			}
			return n
		}
		Eventually(func() int { return left(&corev1.PodList{}) }).WithPolling(pollClosely).Should(BeNumerically(">", 0))
		Expect(admin.Delete(ctx, scan)).To(Succeed())
		Eventually(func() int {
			return left(&batchv1.JobList{}, &corev1.PodList{}, &corev1.ServiceAccountList{}) + len(inventoriesIn(scan.Namespace))
		}).Should(BeZero())
	})

	It("removes reports with their claim, and waits for a new claim when it is to run again", func() {
		s := newSite().image(alpine, "a.sif")
		scan := s.scan().ttl(0).create()
		Eventually(get(scan)).Should(beDone())
		claim := s.getClaim()
		Expect(admin.Delete(ctx, claim)).To(Succeed())
		Eventually(func() int { return len(reportsOf(scan)) }).Should(BeZero())
		Expect(get(scan)()).To(beDone(), "what is finished stays finished")
		rescan(scan, "without a claim")
		Eventually(get(scan)).Should(beWaiting(v1alpha1.ReasonVolumeNotFound))
	})

	It("finishes when its claim is deleted midway", func() {
		s := busySite()
		scan := s.busyScan().ttl(0).create()
		scanner := holdMidway(scan)
		claim := s.getClaim()
		Expect(admin.Delete(ctx, claim)).To(Succeed())
		scanner.signal(unix.SIGCONT)
		Eventually(get(scan)).Should(And(beDone(), HaveField("Status.Targets.Scanned", BeEquivalentTo(many))))
		Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(claim), claim) }).ShouldNot(Succeed(), "kubelet gives the claim up with the pod")
	})
})

// inventoriesIn returns all ScanInventories of a namespace, whichever run's they are.
func inventoriesIn(namespace string) []v1alpha1.ScanInventory {
	GinkgoHelper()
	list := &v1alpha1.ScanInventoryList{}
	Expect(admin.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	return list.Items
}

// expectAllScannedOnce checks a finished scan of a busySite that was interrupted: every image is
// scanned, and those that had a report by then were not scanned a second time.
func expectAllScannedOnce(scan *v1alpha1.SIFScan, kept map[string]v1alpha1.ScanReport) {
	GinkgoHelper()
	Expect(outcomesOf(scan)).To(And(HaveLen(many), HaveEach(v1alpha1.EntryScanned)))
	reports := reportsOf(scan)
	Expect(reports).To(HaveLen(many))
	for path, report := range kept {
		Expect(reports[path].Report.ObservedAt).To(Equal(report.Report.ObservedAt), "%s was scanned again", path)
	}
}

// watchOpens returns a function that says whether a file was opened since it was called last.
// Opening a name without access to its content (O_PATH) does not count (inotify(7)).
func watchOpens(path string) func() bool {
	GinkgoHelper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(unix.Close, fd)
	_, err = unix.InotifyAddWatch(fd, path, unix.IN_OPEN)
	Expect(err).NotTo(HaveOccurred())
	return func() bool {
		n, _ := unix.Read(fd, make([]byte, 4096)) // EAGAIN where there is no event
		return n > 0
	}
}
