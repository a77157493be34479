// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

var _ = Describe("A run that does not go well", func() {
	var namespace string
	BeforeEach(func() { namespace = newNamespace() })

	It("names what keeps its pod from running", func() {
		scan, job := startedScan(namespace)
		pod := startPod(job, "first")
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "reporter", Image: "agent:dev", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "not found"},
		}}}
		Expect(admin.Status().Update(ctx, pod)).To(Succeed())
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonImagePullFailed), say("image agent:dev (ImagePullBackOff): not found")))
	})

	It("tells the next pod why the last one died, and goes on", func() {
		scan, job := startedScan(namespace)
		r := reporterOf(scan, job)
		inventory := r.inventory(2, v1alpha1.EntryFailed)
		r.store(inventory)
		endPod(startPod(job, "first"), 137, "OOMKilled", "")
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonOOMKilled), say("raise spec.resources.limits.memory, for instance to 8Gi"), say("1 of 2 images done")))
		Eventually(get(inventory)).Should(HaveField("Annotations", HaveKeyWithValue(v1alpha1.AnnotationLastDeath, HavePrefix("OOMKilled: the scanner needed more memory"))))
		startPod(job, "second")
		// The second pod is younger by less than the second that a creation time resolves; what
		// counts is that the scan is not given up.
		Eventually(get(scan)).Should(HaveField("Status.CompletionTime", BeNil()))
	})

	It("is given up with the reason of the last death, and keeps what was done", func() {
		scan, job := startedScan(namespace)
		r := reporterOf(scan, job)
		Expect(r.api.Create(ctx, r.report("sr-1", v1alpha1.AnnotationPackages, "50/10", v1alpha1.AnnotationCounts, "1/2/3/4/5"))).To(Succeed())
		r.store(r.inventory(3, v1alpha1.EntryFailed, v1alpha1.EntryScanned))
		endPod(startPod(job, "first"), 137, "OOMKilled", "")
		failJob(job)
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonOOMKilled), say("given up, 2 of 3 images done"), say(v1alpha1.AnnotationRescanAt)))
		Expect(scan.Status.Targets.Failed).To(BeEquivalentTo(1))
		Expect(scan.Status.Summary).To(HaveValue(And(HaveField("Critical", HaveValue(BeEquivalentTo(1))), HaveField("Packages", BeEquivalentTo(50)))))
		Expect(scan.Status.Worst).To(HaveExactElements(And(HaveField("Report", "sr-1"), HaveField("Target", "/shared/containers/a.sif"))))
		Expect(scan.Status.CompletionTime).NotTo(BeNil())
	})

	It("is no success without an inventory", func() {
		scan, job := startedScan(namespace)
		endPod(startPod(job, "first"), 0, "Completed", "")
		completeJob(job)
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonReportUnavailable), say("it left no ScanInventory")))
	})

	It("is no success when an image has no outcome, or a report is missing", func() {
		scan, job := startedScan(namespace)
		r := reporterOf(scan, job)
		r.store(r.inventory(2, v1alpha1.EntryFailed))
		completeJob(job)
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonReportUnavailable), say("had 2 targets and its ScanInventories have 1")))

		other := newNamespace()
		scan, job = startedScan(other)
		r = reporterOf(scan, job)
		r.store(r.inventory(1, v1alpha1.EntryScanned))
		completeJob(job)
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonReportUnavailable), say("1 ScanReport is missing")))
	})

	It("is no success when nothing was found, and repeats what the scanner said, made safe", func() {
		scan, job := startedScan(namespace)
		r := reporterOf(scan, job)
		r.store(r.inventory(0))
		endPod(startPod(job, "first"), 0, "Completed", `{"reason":"NoTargets","message":"no file matches \u001b[31mx.sif"}`)
		completeJob(job)
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNoTargets), say(`no file matches \u{1b}[31mx.sif`)))
	})

	It("is no success when nothing may be read", func() {
		scan, job := startedScan(namespace)
		r := reporterOf(scan, job)
		r.store(r.inventory(1, v1alpha1.EntryDenied))
		completeJob(job)
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonPermissionDenied), say(v1alpha1.AnnotationRunAsUser)))
	})

	It("does not count what another scan of the namespace wrote", func() {
		scan, job := startedScan(namespace)
		other := makeScan(namespace, "other")
		Expect(admin.Create(ctx, other)).To(Succeed())
		theirs := reporterOf(other, theJob(other))
		theirs.store(theirs.inventory(1, v1alpha1.EntryFailed))
		forged := theirs.inventory(1, v1alpha1.EntryFailed)
		forged.Name = "forged-w0-0"
		forged.Labels[v1alpha1.LabelScanUID] = string(scan.UID)
		forged.OwnerReferences[0].UID, forged.OwnerReferences[0].Name = types.UID(scan.UID), scan.Name
		Expect(theirs.api.Create(ctx, forged)).To(Succeed())
		completeJob(job)
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonReportUnavailable), say("it left no ScanInventory")))
	})

	It("refuses resources that no pod can have before it makes one", func() {
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		scan := makeScan(namespace, "images")
		scan.Spec.Resources = corev1.ResourceRequirements{Limits: quantities("memory", "1Gi"), Requests: quantities("memory", "2Gi")}
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonInvalidSpec), say("raise spec.resources.limits.memory")))
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Resources.Limits = quantities("memory", "4Gi") })
		theJob(scan)
		Eventually(get(scan)).Should(beWaiting(v1alpha1.ReasonRunning))
	})

	It("repeats why the API server refused its Job", func() {
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		scan := makeScan(namespace, "images")
		scan.Spec.Scheduling.NodeSelector = map[string]string{"not a label": "x"}
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonInvalidSpec), say("nodeSelector")))
		Expect(admin.List(ctx, &v1alpha1.ScanInventoryList{}, client.InNamespace(namespace))).To(Succeed())
	})
})
