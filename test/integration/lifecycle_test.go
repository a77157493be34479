// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

var _ = Describe("A SIFScan", func() {
	var namespace string
	BeforeEach(func() { namespace = newNamespace() })

	It("runs to its end: Job, progress, outcome, Events", func() {
		scan, job := startedScan(namespace)
		Expect(metav1.IsControlledBy(job, scan)).To(BeTrue())
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonRunning), say("waiting for the pod of Job "+job.Name)))

		pod := startPod(job, "first")
		r := reporterOf(scan, job)
		Expect(r.api.Create(ctx, r.report("sr-0", v1alpha1.AnnotationPackages, "100/100"))).To(Succeed())
		r.store(r.inventory(3, v1alpha1.EntryScanned))
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonRunning), say("1 of 3 images done")))
		Expect(*scan.Status.Targets).To(Equal(v1alpha1.TargetCounts{Discovered: 3, Scanned: 1}))

		Expect(r.api.Create(ctx, r.report("sr-1", v1alpha1.AnnotationPackages, "50/10", v1alpha1.AnnotationCounts, "1/2/3/4/5",
			v1alpha1.AnnotationSecrets, "6"))).To(Succeed())
		r.store(r.inventory(3, v1alpha1.EntryScanned, v1alpha1.EntryUnchanged, v1alpha1.EntryFailed))
		endPod(pod, 0, "Completed", "")
		completeJob(job)
		Eventually(get(scan)).Should(have("Complete=True/Degraded Degraded=True/Degraded Ready=True/Degraded"))
		Expect(scan).To(say("3 images: 1 scanned, 1 unchanged, 1 failed"))
		Expect(scan.Status.CompletionTime).NotTo(BeNil())
		Expect(scan.Status.Inventories).To(BeEquivalentTo(1))
		Expect(scan.Status.Summary.Packages).To(BeEquivalentTo(150))
		Expect(scan.Status.Summary.NotAssessed).To(BeEquivalentTo(110))
		Expect(*scan.Status.Summary.High).To(BeEquivalentTo(2))
		Expect(*scan.Status.Summary.Secrets).To(BeEquivalentTo(6))
		Eventually(eventReasons(scan)).Should(ConsistOf("JobCreated", v1alpha1.ReasonDegraded))
	})

	It("answers kubectl wait, and prints within a terminal's width", func() {
		scan, job := startedScan(namespace)
		succeed(scan, job)
		kubectl("wait", "-n", namespace, "--for=condition=Complete", "--timeout=5s", "sifscan/images")
		out := kubectl("get", "-n", namespace, "sifscan,scanreport,scaninventory")
		Expect(strings.Split(out, "\n")).To(HaveEach(WithTransform(func(s string) int { return len(s) }, BeNumerically("<=", 120))), out)
		Expect(out).To(MatchRegexp(`(?m)^NAME +TARGET +READY +REASON +IMAGES +FAILED +CRITICAL +HIGH +AGE$`))
		Expect(out).To(MatchRegexp(`(?m)^sifscan.sifscan.io/images +shared +True +NotAssessed +1 +0 +\d+m?s$`))
	})

	It("starts nothing and writes nothing when the same file is applied twenty times", func() {
		file := writeFile("scan.yaml", "apiVersion: sifscan.io/v1alpha1\nkind: SIFScan\nmetadata: {name: images, namespace: "+namespace+"}\n"+
			"spec: {target: {volume: {claimName: shared}}}\n")
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		kubectl("apply", "-f", file)
		scan := makeScan(namespace, "images")
		job := theJob(scan)
		succeed(scan, job)
		before, runs := scan.ResourceVersion, job.UID
		for range 20 {
			kubectl("apply", "-f", file)
		}
		Consistently(get(scan)).Should(HaveField("ResourceVersion", before))
		Expect(jobs(namespace)).To(ConsistOf(HaveField("UID", runs)))
	})

	It("runs again when its spec changes: the old Job ends first, finished reports stay", func() {
		scan, old := startedScan(namespace)
		r := reporterOf(scan, old)
		Expect(r.api.Create(ctx, r.report("sr-0"))).To(Succeed())
		r.store(r.inventory(2, v1alpha1.EntryScanned))
		startPod(old, "first")

		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Target.Volume.Paths = []v1alpha1.PathPattern{"new"} })
		Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(old), &batchv1.Job{}) }).Should(MatchError(apierrors.IsNotFound, "NotFound"))
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonRunning), say("waiting for 1 pod of an earlier Job to end")))
		Expect(jobs(namespace)).To(BeEmpty())

		finishPods(namespace)
		job := theJob(scan)
		Expect(job.Name).NotTo(Equal(old.Name))
		Expect(job.Spec.Template.Spec.Containers[0].Args).To(ContainElement("new"))
		Expect(scan.Status.Targets).To(BeNil(), "counts of the new run")

		succeed(scan, job)
		inventories := &v1alpha1.ScanInventoryList{}
		Eventually(func() ([]v1alpha1.ScanInventory, error) {
			err := admin.List(ctx, inventories, client.InNamespace(namespace))
			return inventories.Items, err
		}).Should(ConsistOf(HaveField("Name", job.Name+"-w0-0")), "the old run's inventory goes once the new run is finished")
		Expect(get(r.report("sr-0"))()).To(HaveField("Name", "sr-0"))
	})

	It("runs again when asked to by annotation, once", func() {
		scan, job := startedScan(namespace)
		succeed(scan, job)
		change(scan, func(s *v1alpha1.SIFScan) {
			metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationRescanAt, "2026-03-01")
		})
		Eventually(func() string { again := theJob(scan); return again.Name }).ShouldNot(Equal(job.Name))
		Expect(scan.Status.LastHandledRescanAt).To(Equal("2026-03-01"))
	})

	It("does not run again for resources, scheduling, TTL or suspension, and says which generation it speaks of", func() {
		scan, job := startedScan(namespace)
		succeed(scan, job)
		change(scan, func(s *v1alpha1.SIFScan) {
			s.Spec.TTLAfterFinished = &metav1.Duration{Duration: time.Hour}
			s.Spec.Scheduling.NodeSelector = map[string]string{"a": "b"}
			s.Spec.Suspend = true
		})
		Eventually(get(scan)).Should(beReady(v1alpha1.ReasonNotAssessed))
		Expect(scan.Status.Conditions).To(HaveEach(HaveField("ObservedGeneration", scan.Generation)))
		Expect(jobs(namespace)).To(ConsistOf(HaveField("UID", job.UID)))
	})

	It("waits for a claim that comes later", func() {
		scan := makeScan(namespace, "images")
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonVolumeNotFound), say("PersistentVolumeClaim shared is not in Namespace "+namespace)))
		Expect(jobs(namespace)).To(BeEmpty())
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		theJob(scan)
		Eventually(get(scan)).Should(beWaiting(v1alpha1.ReasonRunning))
	})

	It("does not start on a claim that is being deleted", func() {
		claim := makeClaim(namespace, "shared")
		claim.Finalizers = []string{"kubernetes.io/pvc-protection"}
		Expect(admin.Create(ctx, claim)).To(Succeed())
		Expect(admin.Delete(ctx, claim)).To(Succeed())
		scan := makeScan(namespace, "images")
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonVolumeNotFound), say("is being deleted")))
		change(claim, func(c *corev1.PersistentVolumeClaim) { c.Finalizers = nil })
		Eventually(get(scan)).Should(say("is not in Namespace"))
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		theJob(scan)
	})

	It("waits anew where its claim is removed before a node took its pod, and scans the claim that comes", func() {
		scan, job := startedScan(namespace)
		pod, claim := startPod(job, "first"), makeClaim(namespace, "shared")
		Eventually(get(scan)).Should(beWaiting(v1alpha1.ReasonRunning))
		change(claim, func(c *corev1.PersistentVolumeClaim) { c.Finalizers = nil })
		Expect(admin.Delete(ctx, claim)).To(Succeed())
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable",
			Message: `persistentvolumeclaim "shared" not found`, LastTransitionTime: metav1.Now(),
		}}
		Expect(admin.Status().Update(ctx, pod)).To(Succeed())
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonVolumeNotFound), say("PersistentVolumeClaim shared is not in Namespace "+namespace)))
		Eventually(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(BeEmpty())
		finishPods(namespace)
		claim = makeClaim(namespace, "shared")
		Expect(admin.Create(ctx, claim)).To(Succeed())
		again := theJob(scan)
		Expect(again.Spec.Template.Spec.InitContainers[0].Args).To(ContainElement(HavePrefix("--claim=shared=" + string(claim.UID) + "=")))
	})

	It("scans the claim that has come in the place of its own before a node took its pod, or Kueue let it run", Serial, func() {
		scan, job := startedScan(namespace)
		pod := startPod(job, "first")
		other := makeScan(namespace, "kueue")
		other.Spec.Scheduling.QueueName = "scans"
		Expect(admin.Create(ctx, other)).To(Succeed())
		suspended := theJob(other)

		By("replacing the claim while nobody looks")
		operator.stop()
		claim := makeClaim(namespace, "shared")
		change(claim, func(c *corev1.PersistentVolumeClaim) { c.Finalizers = nil })
		Expect(admin.Delete(ctx, claim)).To(Succeed())
		claim = makeClaim(namespace, "shared")
		Expect(admin.Create(ctx, claim)).To(Succeed())
		pod.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available", LastTransitionTime: metav1.Now(),
		}}
		Expect(admin.Status().Update(ctx, pod)).To(Succeed())
		operator = startOperator(nil)

		Eventually(func() ([]batchv1.Job, error) { return jobs(namespace) }).ShouldNot(
			ContainElement(HaveField("UID", BeElementOf(job.UID, suspended.UID))))
		finishPods(namespace)
		for _, of := range []*v1alpha1.SIFScan{scan, other} {
			Expect(theJob(of).Spec.Template.Spec.InitContainers[0].Args).To(ContainElement(HavePrefix("--claim=shared=" + string(claim.UID) + "=")))
		}
	})

	It("resumes when its Job is deleted by hand", func() {
		scan, job := startedScan(namespace)
		r := reporterOf(scan, job)
		r.store(r.inventory(2, v1alpha1.EntryFailed))
		Eventually(get(scan)).Should(HaveField("Status.Inventories", BeEquivalentTo(1)))
		scan.Status.StartTime = &metav1.Time{Time: scan.Status.StartTime.Add(-time.Hour)} // times have seconds only
		Expect(admin.Status().Update(ctx, scan)).To(Succeed())
		started := scan.Status.StartTime.DeepCopy()
		Expect(admin.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		var again *batchv1.Job
		Eventually(func() any { again = theJob(scan); return again.UID }).ShouldNot(Equal(job.UID))
		Expect(again.Name).To(Equal(job.Name))
		Eventually(get(scan)).Should(beWaiting(v1alpha1.ReasonRunning))
		Expect(scan.Status.StartTime).To(Equal(started))
		Expect(scan.Status.Targets.Failed).To(BeEquivalentTo(1), "what was done is kept")
		Eventually(eventReasons(scan)).Should(ContainElement("JobRecreated"))
	})

	It("does not run again when the Job of a finished run is deleted by hand", func() {
		scan, job := startedScan(namespace)
		succeed(scan, job)
		Expect(admin.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		Consistently(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(BeEmpty())
		Expect(get(scan)()).To(beReady(v1alpha1.ReasonNotAssessed))
	})

	It("ends the Job of a run that nobody wants any more, and stays finished", func() {
		scan, job := startedScan(namespace)
		succeed(scan, job)
		// What is left when a spec is changed and changed back while the operator is killed.
		stray := job.DeepCopy()
		stray.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: "images-0000000000000000", Labels: job.Labels, OwnerReferences: job.OwnerReferences}
		stray.Labels[v1alpha1.LabelRun] = "v1-0000000000000000"
		stray.Spec.Selector, stray.Spec.Template.Labels = nil, nil
		Expect(admin.Create(ctx, stray)).To(Succeed())
		Eventually(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(ConsistOf(HaveField("UID", job.UID)))
		Consistently(get(scan)).Should(beReady(v1alpha1.ReasonNotAssessed))
	})

	It("leaves a Job alone that has its name and is not its own", func() {
		probe, own := startedScan(newNamespace())
		Expect(probe.Name).To(Equal("images"))
		stranger := own.DeepCopy()
		stranger.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: own.Name}
		stranger.Spec.Selector, stranger.Spec.ManualSelector = nil, nil
		stranger.Spec.Template.Labels = nil
		Expect(admin.Create(ctx, stranger)).To(Succeed())
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		scan := makeScan(namespace, "images")
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNotAllowed), say("delete the Job, or rename the SIFScan")))
		Expect(jobs(namespace)).To(ConsistOf(HaveField("UID", stranger.UID)))
	})

	It("waits for what a deleted SIFScan of its name left", func() {
		scan, job := startedScan(namespace)
		r := reporterOf(scan, job)
		inventory := r.inventory(1)
		r.store(inventory)
		Expect(admin.Delete(ctx, scan)).To(Succeed()) // and no garbage collector runs here
		again := makeScan(namespace, "images")
		Expect(admin.Create(ctx, again)).To(Succeed())
		Eventually(get(again)).Should(And(beWaiting(v1alpha1.ReasonRunning), say("ScanInventories of the deleted SIFScan")))
		Expect(admin.Delete(ctx, inventory)).To(Succeed())
		Eventually(get(again)).Should(And(beWaiting(v1alpha1.ReasonRunning), say("waiting for Job "+job.Name+" of the deleted SIFScan")))
		Expect(admin.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		Expect(metav1.IsControlledBy(theJob(again), again)).To(BeTrue())
	})

	It("suspends before and in mid-run, and resumes where it was", func() {
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		scan := makeScan(namespace, "images")
		scan.Spec.Suspend = true
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(beSuspended(), say("suspended before it started")))
		Expect(jobs(namespace)).To(BeEmpty())

		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = false })
		job := theJob(scan)
		startPod(job, "first")
		r := reporterOf(scan, job)
		r.store(r.inventory(2, v1alpha1.EntryFailed))
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = true })
		Eventually(get(scan)).Should(And(beSuspended(), say("1 of 2 images done")))
		Eventually(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(BeEmpty())

		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = false })
		Eventually(get(scan)).Should(say("waiting for 1 pod of an earlier Job to end"))
		finishPods(namespace)
		Expect(theJob(scan).Name).To(Equal(job.Name))
		Eventually(eventReasons(scan)).Should(ContainElement("JobRecreated"))
	})

	It("deletes the Job of a finished run when its time is over, and nothing else", func() {
		scan, job := startedScan(namespace)
		succeed(scan, job)
		DeferCleanup(now.reset)
		now.step(24*time.Hour - time.Minute)
		poke(scan)
		Consistently(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(HaveLen(1))
		now.step(time.Minute)
		poke(scan)
		Eventually(func() ([]batchv1.Job, error) { return jobs(namespace) }).Should(BeEmpty())
		Consistently(get(scan)).Should(beReady(v1alpha1.ReasonNotAssessed))
	})

	It("sets up the reporter's account and binding, and repairs neither", func() {
		startedScan(namespace)
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.ReporterServiceAccount}}
		Expect(get(account)()).To(HaveField("Labels", HaveKeyWithValue(v1alpha1.LabelManagedBy, v1alpha1.ManagedBy)))
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.ReporterServiceAccount}}
		Expect(get(binding)()).To(HaveField("RoleRef.Name", v1alpha1.ReporterClusterRole))
	})

	It("refuses a binding of the reporter to another role", func() {
		grantTo := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.ReporterServiceAccount},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: v1alpha1.ReporterServiceAccount}},
		}
		Expect(admin.Create(ctx, grantTo)).To(Succeed())
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		scan := makeScan(namespace, "images")
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNotAllowed), say("binds ClusterRole admin"), say("delete it")))
		Expect(jobs(namespace)).To(BeEmpty())
	})

	It("reads as the user whom the Namespace's annotations name, and says what is wrong with them", func() {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		change(ns, func(n *corev1.Namespace) {
			metav1.SetMetaDataAnnotation(&n.ObjectMeta, v1alpha1.AnnotationRunAsUser, "root")
		})
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
		scan := makeScan(namespace, "images")
		Eventually(func(g Gomega) {
			scan = makeScan(namespace, "images")
			g.Expect(client.IgnoreAlreadyExists(admin.Create(ctx, scan))).To(Succeed())
			g.Expect(get(scan)()).To(And(beStalled(v1alpha1.ReasonNotAllowed), say("ask an administrator")))
		}).Should(Succeed())
		change(ns, func(n *corev1.Namespace) { n.Annotations[v1alpha1.AnnotationRunAsUser] = "4242" })
		Expect(*theJob(scan).Spec.Template.Spec.SecurityContext.RunAsUser).To(BeEquivalentTo(4242))
	})

	It("deletes artifacts that newer ones replaced, and only those", func() {
		scan, job := startedScan(namespace)
		r := reporterOf(scan, job)
		report := r.report("sr-0", v1alpha1.AnnotationPackages, "1/1", v1alpha1.AnnotationArtifacts, "sifscan-sr-0-new/10",
			v1alpha1.AnnotationSuperseded, "sifscan-sr-0-old,sifscan-sr-0-new,sifscan-sr-1-other,kube-root-ca.crt")
		Expect(r.api.Create(ctx, report)).To(Succeed())
		neighbour := r.report("sr-1")
		Expect(r.api.Create(ctx, neighbour)).To(Succeed())
		for _, artifact := range []*corev1.ConfigMap{r.artifact(report, "old"), r.artifact(report, "new"), r.artifact(neighbour, "other")} {
			Expect(r.api.Create(ctx, artifact)).To(Succeed())
		}
		r.store(r.inventory(1, v1alpha1.EntryScanned))
		endPod(startPod(job, "first"), 0, "Completed", "")
		completeJob(job)
		Eventually(get(scan)).Should(beReady(v1alpha1.ReasonNotAssessed))
		left := &corev1.ConfigMapList{}
		Expect(admin.List(ctx, left, client.InNamespace(namespace), client.HasLabels{v1alpha1.LabelArtifactOf})).To(Succeed())
		Expect(left.Items).To(ConsistOf(HaveField("Name", "sifscan-sr-0-new"), HaveField("Name", "sifscan-sr-1-other")))
		Expect(get(report)()).To(HaveField("Annotations", Not(HaveKey(v1alpha1.AnnotationSuperseded))))
	})

	It("is deleted at once: nothing holds it", func() {
		scan, _ := startedScan(namespace)
		Expect(scan.Finalizers).To(BeEmpty())
		Expect(admin.Delete(ctx, scan)).To(Succeed())
		Eventually(func() error { return admin.Get(ctx, client.ObjectKeyFromObject(scan), scan) }).Should(MatchError(apierrors.IsNotFound, "NotFound"))
	})
})

// poke makes the operator look at a SIFScan again without asking for anything.
func poke(scan *v1alpha1.SIFScan) {
	GinkgoHelper()
	change(scan, func(s *v1alpha1.SIFScan) {
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, "example.com/poked", now.Now().String())
	})
}
