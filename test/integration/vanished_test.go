// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// scopeOf is what the operator tells the reporter of the scan's scope.
func scopeOf(job *batchv1.Job) string {
	for _, container := range job.Spec.Template.Spec.InitContainers {
		for _, arg := range container.Args {
			if scope, ok := strings.CutPrefix(arg, "--scope="); ok {
				return scope
			}
		}
	}
	return ""
}

// night plays a whole run that sees the images with some numbers.
func night(scan *v1alpha1.SIFScan, number int, seen ...int) {
	GinkgoHelper()
	if number > 0 {
		change(scan, func(s *v1alpha1.SIFScan) {
			metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationRescanAt, fmt.Sprint("night ", number))
		})
		finishPods(scan.Namespace)
		Eventually(get(scan)).Should(HaveField("Status.LastHandledRescanAt", fmt.Sprint("night ", number)))
	}
	job := theJob(scan)
	r := reporterOf(scan, job)
	inventory := r.inventory(int32(len(seen)), slices.Repeat([]v1alpha1.EntryOutcome{v1alpha1.EntryUnchanged}, len(seen))...)
	for i, n := range seen {
		inventory.Entries[i].Path, inventory.Entries[i].Report = fmt.Sprintf("%d.sif", n), fmt.Sprintf("sr-%d", n)
		report := r.report(fmt.Sprintf("sr-%d", n), v1alpha1.AnnotationPackages, "100/100", v1alpha1.AnnotationScope, scopeOf(job))
		report.Report.Target.Path = fmt.Sprintf("/shared/containers/%d.sif", n)
		Expect(client.IgnoreAlreadyExists(r.api.Create(ctx, report))).To(Succeed())
	}
	r.store(inventory)
	endPod(startPod(job, fmt.Sprint("night-", number)), 0, "Completed", "")
	completeJob(job)
	Eventually(get(scan)).Should(And(beReady(v1alpha1.ReasonNotAssessed), HaveField("Status.Targets.Discovered", BeEquivalentTo(len(seen)))))
}

// reportNames are those of a namespace, with a mark on those whose image was missed once.
func reportNames(namespace string) []string {
	GinkgoHelper()
	list := &v1alpha1.ScanReportList{}
	Expect(admin.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	var names []string
	for _, report := range list.Items {
		if report.Annotations[v1alpha1.AnnotationMissedBy] != "" {
			report.Name += " missed"
		}
		names = append(names, report.Name)
	}
	return names
}

var _ = Describe("The report of an image that is gone", func() {
	It("is deleted after the second run that misses the image, and not before", func() {
		namespace := newNamespace()
		scan, _ := startedScan(namespace)
		night(scan, 0, 0, 1, 2, 3, 4, 5)
		night(scan, 1, 0, 1, 2, 3, 4)
		Expect(reportNames(namespace)).To(ConsistOf("sr-0", "sr-1", "sr-2", "sr-3", "sr-4", "sr-5 missed"))
		night(scan, 2, 0, 1, 2, 3, 4)
		Expect(reportNames(namespace)).To(ConsistOf("sr-0", "sr-1", "sr-2", "sr-3", "sr-4"))
	})

	It("stays when the image is back in time: two runs have to miss it one after the other", func() {
		namespace := newNamespace()
		scan, _ := startedScan(namespace)
		night(scan, 0, 0, 1, 2, 3, 4, 5)
		night(scan, 1, 0, 1, 2, 3, 4)
		night(scan, 2, 0, 1, 2, 3, 4, 5)
		Expect(reportNames(namespace)).To(ConsistOf("sr-0", "sr-1", "sr-2", "sr-3", "sr-4", "sr-5"))
		night(scan, 3, 0, 1, 2, 3, 4)
		Expect(reportNames(namespace)).To(ContainElement("sr-5 missed"))
	})

	It("stays when more than a fifth vanish at once, and when another scope wrote it", func() {
		namespace := newNamespace()
		scan, _ := startedScan(namespace)
		night(scan, 0, 0, 1, 2, 3, 4, 5, 6)
		other := reporterOf(scan, theJobOf(scan)).report("sr-other", v1alpha1.AnnotationScope, "0123456789abcdef")
		Expect(admin.Create(ctx, other)).To(Succeed())
		all := reportNames(namespace)
		night(scan, 1, 0, 1, 2, 3, 4)
		night(scan, 2, 0, 1, 2, 3, 4)
		Expect(reportNames(namespace)).To(ConsistOf(all))
	})
})

// theJobOf is a Job that is there, whatever the status says of it.
func theJobOf(scan *v1alpha1.SIFScan) *batchv1.Job {
	GinkgoHelper()
	all, err := jobs(scan.Namespace)
	Expect(err).NotTo(HaveOccurred())
	Expect(all).NotTo(BeEmpty())
	return &all[0]
}
