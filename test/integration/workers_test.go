// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"strconv"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// sharedScan returns a SIFScan of several workers whose Job is there.
func sharedScan(namespace string, workers int32) (*v1alpha1.SIFScan, *batchv1.Job) {
	GinkgoHelper()
	Expect(client.IgnoreAlreadyExists(admin.Create(ctx, makeClaim(namespace, "shared")))).To(Succeed())
	scan := makeScan(namespace, "images")
	scan.Spec.Parallelism = ptr.To(workers)
	Expect(admin.Create(ctx, scan)).To(Succeed())
	return scan, theJob(scan)
}

// startWorker plays the Job controller: a pod of one worker.
func startWorker(job *batchv1.Job, worker int, suffix string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: fmt.Sprintf("%s-%d-%s", job.Name, worker, suffix), Labels: job.Spec.Template.Labels,
			Annotations:     map[string]string{batchv1.JobCompletionIndexAnnotation: strconv.Itoa(worker)},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec: *job.Spec.Template.Spec.DeepCopy(),
	}
	pod.Spec.NodeName = "n1"
	Expect(admin.Create(ctx, pod)).To(Succeed())
	pod.Status.Phase = corev1.PodRunning
	Expect(admin.Status().Update(ctx, pod)).To(Succeed())
	return pod
}

// plan is the list that the workers share.
func (r reporter) plan(workers, targets int32) *v1alpha1.ScanInventory {
	list := r.inventory(targets)
	list.Name = r.job.Name + "-plan"
	delete(list.Labels, v1alpha1.LabelWorker)
	list.Labels[v1alpha1.LabelPlan], list.Labels[v1alpha1.LabelWorkers] = "0a1b", strconv.Itoa(int(workers))
	list.Annotations = map[string]string{v1alpha1.AnnotationPlanned: fmt.Sprintf("%d/1", targets)}
	list.EntriesGz = []byte{0x1f, 0x8b}
	return list
}

// share is the inventory of one worker whose images are those from a number on.
func (r reporter) share(workers, worker, first int, total int32, outcomes ...v1alpha1.EntryOutcome) *v1alpha1.ScanInventory {
	share := r.inventory(total, outcomes...)
	share.Name = fmt.Sprintf("%s-w%d-0", r.job.Name, worker)
	share.Labels[v1alpha1.LabelWorker], share.Labels[v1alpha1.LabelWorkers] = strconv.Itoa(worker), strconv.Itoa(workers)
	share.Worker.Index = int32(worker)
	for i := range share.Entries {
		entry := &share.Entries[i]
		entry.Path = fmt.Sprintf("%d.sif", first+i)
		if entry.Report != "" {
			entry.Report = fmt.Sprintf("sr-%d", first+i)
		}
	}
	return share
}

func (r reporter) reports(numbers ...int) {
	GinkgoHelper()
	for _, n := range numbers {
		report := r.report(fmt.Sprintf("sr-%d", n), v1alpha1.AnnotationPackages, "100/100")
		report.Report.Target.Path = fmt.Sprintf("/shared/containers/%d.sif", n)
		Expect(client.IgnoreAlreadyExists(r.api.Create(ctx, report))).To(Succeed())
	}
}

func failWorkers(job *batchv1.Job, indexes string) {
	GinkgoHelper()
	Eventually(func() error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(job), job); err != nil {
			return err
		}
		job.Status.StartTime = &job.CreationTimestamp
		job.Status.FailedIndexes = &indexes
		return admin.Status().Update(ctx, job)
	}).Should(Succeed())
}

func coveredOf(scan *v1alpha1.SIFScan) string {
	c := meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionCovered)
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s: %s", c.Status, c.Message)
}

var _ = Describe("A SIFScan of several workers", func() {
	var namespace string
	BeforeEach(func() { namespace = newNamespace() })

	It("is one Job, whose progress and outcome are those of all workers", func() {
		scan, job := sharedScan(namespace, 2)
		Expect(*job.Spec.Completions).To(BeEquivalentTo(2))
		Expect(*job.Spec.Parallelism).To(BeEquivalentTo(2))
		first, second := startWorker(job, 0, "a"), startWorker(job, 1, "a")
		Eventually(get(scan)).Should(say("the images are not all listed yet"))

		r := reporterOf(scan, job)
		r.store(r.plan(2, 4))
		r.reports(0, 1, 2)
		r.store(r.share(2, 0, 0, 2, v1alpha1.EntryScanned))
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonRunning), say("1 of 4 images done")))
		Expect(scan.Status.Targets.Discovered).To(BeEquivalentTo(4))

		endPod(second, 137, "OOMKilled", "")
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonRunning), say("worker 1: OOMKilled")))
		second = startWorker(job, 1, "b")
		r.store(r.share(2, 0, 0, 2, v1alpha1.EntryScanned, v1alpha1.EntryScanned))
		r.store(r.share(2, 1, 2, 2, v1alpha1.EntryScanned, v1alpha1.EntryDenied))
		endPod(first, 0, "Completed", "")
		endPod(second, 0, "Completed", "")
		completeJob(job)
		Eventually(get(scan)).Should(have("Complete=True/Partial Partial=True/Partial Ready=True/Partial"))
		Expect(meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionPartial).Message).To(ContainSubstring("3.sif"))
		Expect(coveredOf(scan)).To(Equal("False: 75.0 % checked: 3 of 4 images"))
		Expect(scan.Status.Inventories).To(BeEquivalentTo(2), "the list is no outcome")
	})

	It("is not believed while a target of the list has no outcome, even if the Job completed", func() {
		scan, job := sharedScan(namespace, 2)
		r := reporterOf(scan, job)
		r.store(r.plan(2, 4))
		r.reports(0, 1, 2)
		r.store(r.share(2, 0, 0, 2, v1alpha1.EntryScanned, v1alpha1.EntryScanned))
		r.store(r.share(2, 1, 2, 1, v1alpha1.EntryScanned)) // of another list
		completeJob(job)
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonReportUnavailable), say("the list has 4 targets and the workers' shares have 3")))
		Expect(coveredOf(scan)).To(HavePrefix("False: "))
	})

	It("starts no run when the number of workers changes, and keeps that of a suspended run", func() {
		scan, job := sharedScan(namespace, 4)
		run := scan.Status.RunID
		r := reporterOf(scan, job)
		r.store(r.plan(4, 8))

		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Parallelism = ptr.To[int32](8) })
		Eventually(get(scan)).Should(HaveField("Status.ObservedGeneration", scan.Generation))
		Expect(scan.Status.RunID).To(Equal(run))
		Consistently(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(HaveExactElements(HaveField("UID", job.UID)))

		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = true })
		Eventually(get(scan)).Should(And(beSuspended(), say("0 of 8 images done")))
		Eventually(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(BeEmpty())
		Eventually(get(scan)).Should(And(beSuspended(), say("0 of 8 images done")))
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = false })
		again := theJob(scan)
		Expect(again.UID).NotTo(Equal(job.UID))
		Expect(*again.Spec.Completions).To(BeEquivalentTo(4), "the list is shared by four")

		change(scan, func(s *v1alpha1.SIFScan) {
			metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationRescanAt, "now")
		})
		Eventually(func() int32 {
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(scan), scan)).To(Succeed())
			all, err := jobs(namespace)
			if err != nil || len(all) != 1 || all[0].Labels[v1alpha1.LabelRun] == run {
				return 0
			}
			return *all[0].Spec.Completions
		}).Should(BeEquivalentTo(8), "the next run has as many as are asked for")
	})

	It("ends at once when the worker gives up that should have listed the images", func() {
		scan, job := sharedScan(namespace, 3)
		endPod(startWorker(job, 0, "a"), 137, "OOMKilled", "")
		waits := startWorker(job, 1, "a")
		failWorkers(job, "0")
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonOOMKilled), say("worker 0, which lists the images for all 3 workers, gave up")))
		Eventually(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(BeEmpty(), "nobody waits for a list that never comes")
		Expect(admin.Delete(ctx, waits, client.GracePeriodSeconds(0))).To(Succeed())
	})

	It("goes on to the end of the others when a worker gives up, and says which", func() {
		scan, job := sharedScan(namespace, 2)
		r := reporterOf(scan, job)
		r.store(r.plan(2, 2))
		r.reports(0)
		r.store(r.share(2, 0, 0, 1, v1alpha1.EntryScanned))
		endPod(startWorker(job, 0, "a"), 0, "Completed", "")
		endPod(startWorker(job, 1, "a"), 137, "OOMKilled", "")
		failWorkers(job, "1")
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonOOMKilled), say("1 of 2 images done")))
		failJob(job)
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonOOMKilled), say("1 worker of 2 gave up, the others have finished")))
	})

	It("has from 1 to 64 workers, one by default", func() {
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		for name, n := range map[string]int32{"none": 0, "too-many": 65} {
			scan := makeScan(namespace, name)
			scan.Spec.Parallelism = ptr.To(n)
			Expect(admin.Create(ctx, scan)).To(MatchError(ContainSubstring("spec.parallelism: use 1 to 64 workers")))
		}
		scan := makeScan(namespace, "plain")
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Expect(*scan.Spec.Parallelism).To(BeEquivalentTo(1))
	})

	It("shows when every image was last checked, also while the next run is under way", func() {
		scan, job := startedScan(namespace)
		succeed(scan, job)
		Expect(coveredOf(scan)).To(Equal("True: 100 % checked: 1 image"))
		at := meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionCovered).LastTransitionTime
		Expect(scan.Status.LastFullCoverageTime).To(HaveValue(Equal(at)))

		change(scan, func(s *v1alpha1.SIFScan) {
			metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationRescanAt, "now")
		})
		Eventually(get(scan)).Should(HaveField("Status.LastHandledRescanAt", "now"))
		Expect(coveredOf(scan)).To(HavePrefix("True: "))
		Expect(scan.Status.LastFullCoverageTime).To(HaveValue(Equal(at)))
		finishPods(namespace)
		job = theJob(scan)
		r := reporterOf(scan, job)
		r.store(r.inventory(2, v1alpha1.EntryScanned, v1alpha1.EntryDenied))
		endPod(startPod(job, "second"), 0, "Completed", "")
		completeJob(job)
		Eventually(get(scan)).Should(WithTransform(coveredOf, Equal("False: 50.0 % checked: 1 of 2 images")))
		Expect(scan.Status.LastFullCoverageTime).To(HaveValue(Equal(at)))
	})
})
