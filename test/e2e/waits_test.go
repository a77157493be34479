// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

var _ = Describe("A scan whose pod cannot start", func() {
	// shown is what a user sees of the scan.
	shown := func(scan *v1alpha1.SIFScan) string {
		GinkgoHelper()
		return kubectl("", "-n", scan.Namespace, "get", "sscan", scan.Name)
	}

	It("for the namespace's quota is Stalled at its deadline, and runs once the quota allows it", func() {
		s := newSite().image(alpine, "a.sif")
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "no-pods"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
		}
		Expect(admin.Create(ctx, quota)).To(Succeed())
		Eventually(get(quota)).Should(HaveField("Status.Hard", HaveLen(1)), "the quota is in force")
		scan := s.scan().create()
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonUnschedulable), say("no pod of the scan is let into Namespace "+s.namespace)))
		Expect(shown(scan)).To(ContainSubstring("Unschedulable"))
		Eventually(get(scan)).WithTimeout(2 * pendingDeadline).Should(beStalled(v1alpha1.ReasonUnschedulable))
		change(quota, func(q *corev1.ResourceQuota) { q.Spec.Hard[corev1.ResourcePods] = resource.MustParse("5") })
		// The Job controller tries again within a minute.
		Eventually(get(scan)).Should(beDone())
	})

	It("for its volume does not mount is Stalled at its deadline, and runs once it does", func() {
		s := newSite()
		away := filepath.Join(s.dir, "..", filepath.Base(s.dir)+"-away")
		Expect(os.Rename(s.dir, away)).To(Succeed())
		DeferCleanup(os.RemoveAll, away)
		scan := s.scan().create()
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonVolumeNotFound), say("does not mount"), say("describe pod "+scan.Name)))
		Expect(shown(scan)).To(ContainSubstring("VolumeNotFound"))
		Expect(os.Rename(away, s.dir)).To(Succeed())
		s.image(alpine, "a.sif")
		// Kubelet tries again within two minutes.
		Eventually(get(scan)).WithTimeout(recovery).Should(beDone())
	})
})
