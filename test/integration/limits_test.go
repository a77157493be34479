// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

// oneSlot lets one scan be at work at a time.
func oneSlot(c *sifscan.OperatorConfig) { c.Slots.Total = 1 }

// replaceOperator runs another operator until the end of the spec.
func replaceOperator(wrap func(client.WithWatch) client.Client, changes ...func(*sifscan.OperatorConfig)) {
	GinkgoHelper()
	operator.stop()
	operator = startOperator(wrap, changes...)
}

// blind is a client whose cache shows no Job, as one that is far behind.
func blind(inner client.WithWatch) client.Client {
	return interceptor.NewClient(inner, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, isJobs := list.(*batchv1.JobList); isJobs {
				return nil
			}
			return c.List(ctx, list, opts...)
		},
	})
}

// atWork are the scans whose Jobs are not finished, over all namespaces.
func atWork(scans ...*v1alpha1.SIFScan) func() ([]string, error) {
	return func() ([]string, error) {
		list := &batchv1.JobList{}
		if err := admin.List(ctx, list, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}); err != nil {
			return nil, err
		}
		var names []string
		for i := range list.Items {
			job := &list.Items[i]
			for _, scan := range scans {
				if metav1.IsControlledBy(job, scan) && len(job.Status.Conditions) == 0 {
					names = append(names, scan.Namespace+"/"+scan.Name)
				}
			}
		}
		return names, nil
	}
}

var _ = Describe("Slots", Serial, func() {
	var a, b string
	BeforeEach(func() {
		removeScans()
		a, b = newNamespace(), newNamespace()
		for _, namespace := range []string{a, b} {
			Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		}
		DeferCleanup(func() { removeScans(); operator.stop(); operator = startOperator(nil) })
	})
	create := func(namespace, name string) *v1alpha1.SIFScan {
		GinkgoHelper()
		scan := makeScan(namespace, name)
		Expect(admin.Create(ctx, scan)).To(Succeed())
		return scan
	}
	queued := And(beWaiting(v1alpha1.ReasonQueued), say("waiting for a slot: 1 of 1 scans of the operator are at work (--max-scans)"))

	It("are not given out twice by the next operator, whose cache is stale, and go round the namespaces", func() {
		replaceOperator(nil, oneSlot)
		first := create(a, "a1")
		theJob(first)
		all := []*v1alpha1.SIFScan{first, create(a, "a2"), create(a, "a3"), create(b, "b1")}
		for _, scan := range all[1:] {
			Eventually(get(scan)).Should(queued)
		}
		Expect(eventReasons(all[1])()).To(BeEmpty(), "that a scan waits its turn costs no Event")

		replaceOperator(blind, oneSlot)
		Consistently(atWork(all...), 4*time.Second).Should(HaveLen(1))
		for _, scan := range all[1:] {
			Expect(get(scan)()).To(queued)
		}

		replaceOperator(nil, oneSlot)
		var order []string
		for range all {
			var current *v1alpha1.SIFScan
			Eventually(func(g Gomega) {
				names, err := atWork(all...)()
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(names).To(HaveLen(1))
				for _, scan := range all {
					if scan.Namespace+"/"+scan.Name == names[0] {
						current = scan
					}
				}
			}).Should(Succeed())
			job := theJob(current)
			order = append(order, current.Name)
			reporterOf(current, job).store(reporterOf(current, job).inventory(1, v1alpha1.EntryFailed))
			completeJob(job)
			Eventually(get(current)).Should(HaveField("Status.CompletionTime", Not(BeNil())))
		}
		Expect(order).To(HaveLen(4))
		Expect(order[0]).To(Equal("a1"))
		Expect(order[1:3]).To(ContainElement("b1"), "the other namespace does not wait for all of the first: %v", order)
		Expect(atWork(all...)()).To(BeEmpty())
	})

	It("come back from scans that are suspended or deleted", func() {
		replaceOperator(nil, oneSlot)
		first := create(a, "a1")
		theJob(first)
		second, third := create(a, "a2"), create(a, "a3")
		Eventually(get(second)).Should(queued)
		Eventually(get(third)).Should(queued)
		change(first, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = true })
		theJob(second)
		Expect(atWork(first, second, third)()).To(ConsistOf(a + "/a2"))
		job := theJob(second)
		Expect(admin.Delete(ctx, second)).To(Succeed())
		Consistently(atWork(first, second, third)).Should(HaveLen(1), "no garbage collector runs: the deleted scan's Job is still at work")
		Expect(admin.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		theJob(third)
	})

	It("come back from the scans of a namespace that is deleted, which are told nothing more", func() {
		replaceOperator(nil, oneSlot)
		first := create(a, "a1")
		job := theJob(first)
		next, other := create(a, "a2"), create(b, "b1")
		Eventually(get(next)).Should(queued)
		Eventually(get(other)).Should(queued)
		Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: a}})).To(Succeed())
		versions := func() (all []string, err error) {
			for _, scan := range []*v1alpha1.SIFScan{first, next} {
				_, err = get(scan)()
				all = append(all, scan.ResourceVersion)
			}
			return all, err
		}
		before, err := versions()
		Expect(err).NotTo(HaveOccurred())
		// The namespace controller's part: there is none here.
		Expect(admin.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		theJob(other)
		Consistently(versions).Should(Equal(before))
		Expect(jobs(a)).To(BeEmpty())
	})

	It("are given up by a scan that the cluster lets wait too long, and it queues again", func() {
		replaceOperator(nil, oneSlot)
		stuck := create(a, "stuck")
		pod := startPod(theJob(stuck), "first")
		other := create(b, "other")
		Eventually(get(other)).Should(queued)
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available",
			LastTransitionTime: metav1.NewTime(time.Now().Add(-16 * time.Minute)),
		}}
		Expect(admin.Status().Update(ctx, pod)).To(Succeed())
		job := theJob(other)
		finishPods(a)
		Eventually(get(stuck)).Should(queued)
		Expect(atWork(stuck, other)()).To(ConsistOf(b + "/other"))
		succeedWithFailure(other, job)
		theJob(stuck)
	})

	It("are given up by a scan whose pods are let into no namespace, which runs once they are", func() {
		replaceOperator(nil, oneSlot, func(c *sifscan.OperatorConfig) { c.PendingDeadline = 15 * time.Minute })
		refused := create(a, "refused")
		job := theJob(refused)
		// As the Job controller leaves a Job in a namespace whose quota allows no pod.
		job.Status.StartTime = ptr.To(metav1.Now())
		Expect(admin.Status().Update(ctx, job)).To(Succeed())
		other := create(b, "other")
		Eventually(get(other)).Should(queued)
		Expect(get(refused)()).To(beWaiting(v1alpha1.ReasonRunning))

		DeferCleanup(now.reset)
		now.step(time.Minute)
		poke(refused)
		Eventually(get(refused)).Should(And(beWaiting(v1alpha1.ReasonUnschedulable), say("no pod of the scan is let into Namespace "+a), say("describe job "+job.Name)))
		Expect(kubectl("-n", a, "get", "sscan", "refused")).To(ContainSubstring("Unschedulable"))
		Expect(atWork(refused, other)()).To(ConsistOf(a+"/refused"), "it keeps its slot until the pending deadline")
		now.step(15 * time.Minute)
		poke(refused)
		otherJob := theJob(other)
		Eventually(get(refused)).Should(queued)
		succeedWithFailure(other, otherJob)
		again := theJob(refused)
		Expect(again.UID).NotTo(Equal(job.UID))
		startPod(again, "let-in")
		Eventually(get(refused)).Should(beWaiting(v1alpha1.ReasonRunning))
		succeedWithFailure(refused, again)
	})

	It("are given up by a scan whose pods die for no image's reason, and it queues again", func() {
		replaceOperator(nil, oneSlot)
		dying := create(a, "dying")
		job := theJob(dying)
		other := create(b, "other")
		Eventually(get(other)).Should(queued)
		const tolerated = 6
		for i := range tolerated {
			endPod(startPod(job, fmt.Sprint(i)), 137, "OOMKilled", "")
		}
		Eventually(get(dying)).Should(beWaiting(v1alpha1.ReasonOOMKilled))
		Consistently(atWork(dying, other)).Should(ConsistOf(a + "/dying"))
		endPod(startPod(job, "last"), 137, "OOMKilled", "")
		otherJob := theJob(other)
		finishPods(a)
		Eventually(get(dying)).Should(queued)
		succeedWithFailure(other, otherJob)
		Expect(theJob(dying).UID).NotTo(Equal(job.UID))
	})

	It("are not taken by what waits in Kueue, whose decisions are left alone", func() {
		replaceOperator(nil, oneSlot)
		kueue := makeScan(a, "kueue")
		kueue.Spec.Scheduling.QueueName = "scans"
		Expect(admin.Create(ctx, kueue)).To(Succeed())
		job := theJob(kueue)
		Expect(job.Labels).To(HaveKeyWithValue("kueue.x-k8s.io/queue-name", "scans"))
		Expect(job.Spec.Suspend).To(HaveValue(BeTrue()))
		Eventually(get(kueue)).Should(And(beWaiting(v1alpha1.ReasonSuspended), say("waits in Kueue's queue scans")))
		theJob(create(b, "plain"))

		change(job, func(j *batchv1.Job) { // as Kueue admits
			j.Spec.Suspend = ptr.To(false)
			j.Spec.Template.Spec.NodeSelector = map[string]string{"pool": "scan"}
		})
		Eventually(get(kueue)).Should(beWaiting(v1alpha1.ReasonRunning))
		change(job, func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(true) }) // as it preempts
		Eventually(get(kueue)).Should(beWaiting(v1alpha1.ReasonSuspended))
		Consistently(get(job)).Should(HaveField("Spec.Suspend", HaveValue(BeTrue())))
		Expect(jobs(a)).To(HaveLen(1))
	})
})

// succeedWithFailure plays a run whose one image fails: it needs no report.
func succeedWithFailure(scan *v1alpha1.SIFScan, job *batchv1.Job) {
	GinkgoHelper()
	r := reporterOf(scan, job)
	r.store(r.inventory(1, v1alpha1.EntryFailed))
	completeJob(job)
	Eventually(get(scan)).Should(HaveField("Status.CompletionTime", Not(BeNil())))
}

var _ = Describe("A run with a deadline", func() {
	It("is ended when it has passed, keeps what is done, and is not begun anew", func() {
		namespace := newNamespace()
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		scan := makeScan(namespace, "images")
		scan.Spec.Deadline = &metav1.Duration{Duration: time.Hour}
		Expect(admin.Create(ctx, scan)).To(Succeed())
		job := theJob(scan)
		Expect(job.Spec.ActiveDeadlineSeconds).To(BeNil())
		Expect(job.Spec.Template.Spec.ActiveDeadlineSeconds).To(HaveValue(BeEquivalentTo(3600)))
		r := reporterOf(scan, job)
		r.store(r.inventory(2, v1alpha1.EntryFailed))
		startPod(job, "first")
		job.Status.StartTime = ptr.To(metav1.Now())
		Expect(admin.Status().Update(ctx, job)).To(Succeed())

		DeferCleanup(now.reset)
		now.step(59 * time.Minute)
		poke(scan)
		Consistently(get(scan)).Should(HaveField("Status.CompletionTime", BeNil()))
		now.step(time.Minute)
		poke(scan)
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonDeadlineExceeded),
			say("longer than spec.deadline of 1h0m0s"), say("1 of 2 images done"), say(v1alpha1.AnnotationRescanAt)))
		Eventually(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(BeEmpty())
		Consistently(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(BeEmpty())
		Expect(get(scan)()).To(beStalled(v1alpha1.ReasonDeadlineExceeded))
	})
})

var _ = Describe("A pod whose node is gone", func() {
	// silent makes a node that has not answered for some time.
	silent := func(namespace string, since time.Duration) *corev1.Node {
		GinkgoHelper()
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "gone-" + namespace}}
		Expect(admin.Create(ctx, node)).To(Succeed())
		DeferCleanup(func() { Expect(admin.Delete(ctx, node)).To(Succeed()) })
		node.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown",
			LastTransitionTime: metav1.NewTime(time.Now().Add(-since)),
		}}
		Expect(admin.Status().Update(ctx, node)).To(Succeed())
		return node
	}
	podOn := func(job *batchv1.Job, node string) *corev1.Pod {
		GinkgoHelper()
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: job.Namespace, Name: job.Name + "-0-lost", Labels: job.Spec.Template.Labels,
				Annotations:     map[string]string{batchv1.JobCompletionIndexAnnotation: "0"},
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
				// What the Job controller watches its pods' ends by.
				Finalizers: []string{batchv1.JobTrackingFinalizer},
			},
			Spec: *job.Spec.Template.Spec.DeepCopy(),
		}
		pod.Spec.NodeName = node
		Expect(admin.Create(ctx, pod)).To(Succeed())
		return pod
	}

	It("is marked as failed by a disruption and deleted after five minutes, and not before", func() {
		namespace := newNamespace()
		scan, job := startedScan(namespace)
		r := reporterOf(scan, job)
		inventory := r.inventory(2, v1alpha1.EntryFailed)
		r.store(inventory)
		node := silent(namespace, 3*time.Minute)
		pod := podOn(job, node.Name)
		Consistently(get(pod)).Should(HaveField("DeletionTimestamp", BeNil()))

		DeferCleanup(now.reset)
		now.step(3 * time.Minute)
		poke(scan)
		Eventually(get(pod)).Should(And(
			HaveField("DeletionTimestamp", Not(BeNil())), HaveField("DeletionGracePeriodSeconds", HaveValue(BeZero())),
			HaveField("Status.Phase", corev1.PodFailed),
			HaveField("Status.Conditions", ContainElement(And(HaveField("Type", corev1.DisruptionTarget), HaveField("Reason", v1alpha1.ReasonNodeGone))))))
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonNodeGone),
			say(fmt.Sprintf("node %s has not been ready since", node.Name)), say("a new pod goes on: 1 of 2 images done")))
		Eventually(eventReasons(scan)).Should(ContainElement(v1alpha1.ReasonNodeGone))
		Eventually(get(inventory)).Should(HaveField("Annotations", HaveKeyWithValue(v1alpha1.AnnotationLastDeath, HavePrefix("NodeGone: node "))))
		change(pod, func(p *corev1.Pod) { p.Finalizers = nil }) // as the Job controller counts it
		Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(pod), pod) }).Should(MatchError(apierrors.IsNotFound, "NotFound"))
	})

	It("holds the next run up no longer than that", func() {
		namespace := newNamespace()
		scan, job := startedScan(namespace)
		node := silent(namespace, 6*time.Minute)
		// The pod ended its Job's life on a node that did not answer any more.
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = true })
		Eventually(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(BeEmpty())
		pod := podOn(job, node.Name)
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = false })
		Eventually(get(pod)).Should(HaveField("DeletionTimestamp", Not(BeNil())))
		theJob(scan)
		change(pod, func(p *corev1.Pod) { p.Finalizers = nil })
	})

	It("is given up after the run's deadline and while it is suspended, too", func() {
		namespace := newNamespace()
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		node := silent(namespace, 3*time.Minute)
		DeferCleanup(now.reset)
		left := func(name string) (*v1alpha1.SIFScan, *batchv1.Job, *corev1.Pod) {
			GinkgoHelper()
			scan := makeScan(namespace, name)
			scan.Spec.Deadline = &metav1.Duration{Duration: time.Hour}
			Expect(admin.Create(ctx, scan)).To(Succeed())
			job := theJob(scan)
			return scan, job, podOn(job, node.Name)
		}
		late, job, lost := left("late")
		paused, _, stuck := left("paused")
		job.Status.StartTime, job.Status.Active = ptr.To(metav1.NewTime(now.Now().Add(-59*time.Minute))), 1
		Expect(admin.Status().Update(ctx, job)).To(Succeed())
		change(paused, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = true })
		Eventually(get(paused)).Should(HaveField("Status.Conditions", ContainElement(HaveField("Reason", v1alpha1.ReasonSuspended))))
		Consistently(get(stuck)).Should(HaveField("DeletionTimestamp", BeNil()))

		now.step(3 * time.Minute)
		poke(late)
		poke(paused)
		Eventually(get(late)).Should(beStalled(v1alpha1.ReasonDeadlineExceeded))
		for _, pod := range []*corev1.Pod{lost, stuck} {
			Eventually(get(pod)).Should(And(HaveField("Status.Phase", corev1.PodFailed), HaveField("DeletionTimestamp", Not(BeNil()))))
			change(pod, func(p *corev1.Pod) { p.Finalizers = nil })
		}
		Expect(get(late)()).To(beStalled(v1alpha1.ReasonDeadlineExceeded))
	})

	It("is no pod of anybody else", func() {
		namespace := newNamespace()
		scan, job := startedScan(namespace)
		node := silent(namespace, 6*time.Minute)
		other := podOn(job, node.Name)
		Eventually(get(other)).Should(HaveField("DeletionTimestamp", Not(BeNil())))
		change(other, func(p *corev1.Pod) { p.Finalizers = nil })

		stranger := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stranger"}, Spec: *job.Spec.Template.Spec.DeepCopy(),
		}
		stranger.Spec.NodeName = node.Name
		Expect(admin.Create(ctx, stranger)).To(Succeed())
		poke(scan)
		Consistently(get(stranger)).Should(HaveField("DeletionTimestamp", BeNil()))
	})
})
