// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// schedule makes scans of the site's volume.
func (s *site) schedule(cron string) *v1alpha1.ScanSchedule {
	GinkgoHelper()
	schedule := &v1alpha1.ScanSchedule{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "nightly"},
		Spec:       v1alpha1.ScanScheduleSpec{Schedule: cron, Template: v1alpha1.SIFScanTemplate{Spec: s.scan().Spec}},
	}
	Expect(admin.Create(ctx, schedule)).To(Succeed())
	return schedule
}

func (s *site) scans() []v1alpha1.SIFScan {
	GinkgoHelper()
	list := &v1alpha1.SIFScanList{}
	Expect(admin.List(ctx, list, client.InNamespace(s.namespace))).To(Succeed())
	return list.Items
}

var _ = Describe("A schedule", func() {
	It("of every minute makes real scans, one a minute, which open what is new", func() {
		s := newSite().image(alpine, "a.sif")
		schedule := s.schedule("* * * * *")
		Eventually(s.scans).WithTimeout(90 * time.Second).Should(HaveLen(1))
		scan := &s.scans()[0]
		Eventually(get(scan)).Should(beDone())
		Expect(outcomesOf(scan)).To(Equal(outcomes{"a.sif": v1alpha1.EntryScanned}))
		due, err := time.Parse(time.RFC3339, scan.Annotations[v1alpha1.AnnotationScheduledAt])
		Expect(err).NotTo(HaveOccurred())
		Expect(scan.CreationTimestamp.Time).To(BeTemporally("~", due, 15*time.Second))

		// Not by the site, which sets the times of all its files.
		Expect(os.WriteFile(s.path("b.sif"), debian.content(), 0o644)).To(Succeed())
		Eventually(s.scans).WithTimeout(90 * time.Second).Should(HaveLen(2))
		for _, next := range s.scans() {
			if next.Name != scan.Name {
				Eventually(get(&next)).Should(beDone())
				Expect(outcomesOf(&next)).To(Equal(outcomes{"a.sif": v1alpha1.EntryUnchanged, "b.sif": v1alpha1.EntryScanned}))
			}
		}
		change(schedule, func(s *v1alpha1.ScanSchedule) { s.Spec.Suspend = true })
		Eventually(get(schedule)).Should(HaveField("Status.LastSuccessfulTime", Not(BeNil())))
	})

	It("runs now when the annotation asks, is quiet when Git applies it again, and takes its scans along", func() {
		s := newSite().image(alpine, "a.sif")
		schedule := s.schedule("0 0 1 1 *")
		kubectl("", "-n", s.namespace, "annotate", "scanschedule", "nightly", v1alpha1.AnnotationRunNow+"=please")
		Eventually(s.scans).Should(HaveLen(1))
		scan := &s.scans()[0]
		Eventually(get(scan)).Should(beDone())

		table := kubectl("", "-n", s.namespace, "get", "scanschedule,sifscan")
		Expect(strings.Fields(strings.SplitN(table, "\n", 2)[0])).To(Equal(strings.Fields("NAME SCHEDULE ZONE SUSPENDED ACTIVE LAST NEXT AGE")))
		for line := range strings.Lines(table) {
			Expect(len(line)).To(BeNumerically("<=", 121), line)
		}
		manifest := scheduleManifest(s.namespace)
		kubectl(manifest, "apply", "--server-side", "--force-conflicts", "-f", "-")
		// It has seen that the scan ended, and what was applied: nothing is left to be written.
		Eventually(get(schedule)).Should(And(HaveField("Status.LastSuccessfulTime", Not(BeNil())),
			WithTransform(func(s *v1alpha1.ScanSchedule) bool { return s.Status.ObservedGeneration == s.Generation }, BeTrue())))
		version := schedule.ResourceVersion
		for range 20 {
			kubectl(manifest, "apply", "--server-side", "--force-conflicts", "-f", "-")
		}
		Expect(get(schedule)()).To(HaveField("ResourceVersion", version))
		Expect(s.scans()).To(HaveLen(1))

		job := jobsOf(scan)[0].Name
		Expect(admin.Delete(ctx, schedule, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		Eventually(func() int { return len(s.scans()) + len(podsOf(scan)) }).Should(BeZero(), "of Job %s", job)
		Expect(reportsOf(scan)).To(HaveLen(1), "reports belong to the claim")
	})
})

func scheduleManifest(namespace string) string {
	return `{apiVersion: sifscan.io/v1alpha1, kind: ScanSchedule, metadata: {name: nightly, namespace: ` + namespace + `},
		spec: {schedule: "0 0 1 1 *", timeZone: UTC, template: {spec: {target: {volume: {claimName: ` + claimName + `, mountPath: ` + mountPath + `}}}}}}`
}
