// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

var ctx = context.Background()

// serviceAccount is how a pod's token is seen by the API server.
func serviceAccount(namespace, name string) rest.ImpersonationConfig {
	return rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + namespace + ":" + name,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
	}
}

func as(who rest.ImpersonationConfig) client.Client {
	GinkgoHelper()
	c := rest.CopyConfig(restConfig)
	c.Impersonate = who
	out, err := client.New(c, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return out
}

// newNamespace makes a namespace that enforces Pod Security "restricted".
func newNamespace() string {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "hpc-", Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted",
	}}}
	Expect(admin.Create(ctx, ns)).To(Succeed())
	return ns.Name
}

func makeClaim(namespace, name string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
}

func makeScan(namespace, name string) *v1alpha1.SIFScan {
	return &v1alpha1.SIFScan{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SIFScanSpec{Target: v1alpha1.Target{Volume: &v1alpha1.VolumeTarget{
			ClaimName: "shared", MountPath: "/shared/containers",
		}}},
	}
}

// startedScan returns a SIFScan whose Job is there.
func startedScan(namespace string) (*v1alpha1.SIFScan, *batchv1.Job) {
	GinkgoHelper()
	Expect(client.IgnoreAlreadyExists(admin.Create(ctx, makeClaim(namespace, "shared")))).To(Succeed())
	scan := makeScan(namespace, "images")
	Expect(admin.Create(ctx, scan)).To(Succeed())
	return scan, theJob(scan)
}

// get returns a getter of the object as it is now.
func get[T client.Object](obj T) func() (T, error) {
	return func() (T, error) {
		err := admin.Get(ctx, client.ObjectKeyFromObject(obj), obj)
		return obj, err
	}
}

// change updates an object over whatever happened to it meanwhile.
func change[T client.Object](obj T, fn func(T)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		fn(obj)
		return admin.Update(ctx, obj)
	}).Should(Succeed())
}

func jobs(namespace string) ([]batchv1.Job, error) {
	list := &batchv1.JobList{}
	err := admin.List(ctx, list, client.InNamespace(namespace))
	return list.Items, err
}

// theJob waits for the Job of the SIFScan's current run, and for the status that knows it.
func theJob(scan *v1alpha1.SIFScan) *batchv1.Job {
	GinkgoHelper()
	var job batchv1.Job
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(scan), scan)).To(Succeed())
		g.Expect(scan.Status.ObservedGeneration).To(Equal(scan.Generation))
		g.Expect(scan.Status.StartTime).NotTo(BeNil())
		all, err := jobs(scan.Namespace)
		g.Expect(err).NotTo(HaveOccurred())
		i := slices.IndexFunc(all, func(j batchv1.Job) bool {
			return j.Labels[v1alpha1.LabelRun] == scan.Status.RunID && j.Labels[v1alpha1.LabelScanUID] == string(scan.UID)
		})
		g.Expect(i).To(BeNumerically(">=", 0), "the Job of run %s", scan.Status.RunID)
		job = all[i]
	}).Should(Succeed())
	return &job
}

// startPod plays the Job controller: a pod from the Job's template, on a node. Pod Security
// checks it.
func startPod(job *batchv1.Job, suffix string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: job.Name + "-0-" + suffix, Labels: job.Spec.Template.Labels,
			Annotations:     map[string]string{batchv1.JobCompletionIndexAnnotation: "0"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec: *job.Spec.Template.Spec.DeepCopy(),
	}
	pod.Spec.NodeName = "n1"
	Expect(admin.Create(ctx, pod)).To(Succeed())
	return pod
}

// endPod plays kubelet: the scanner ended.
func endPod(pod *corev1.Pod, code int32, reason, message string) {
	GinkgoHelper()
	Eventually(func() error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		if pod.Status.Phase = corev1.PodSucceeded; code != 0 {
			pod.Status.Phase = corev1.PodFailed
		}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "scanner", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message},
		}}}
		return admin.Status().Update(ctx, pod)
	}).Should(Succeed())
}

// completeJob plays the Job controller.
func completeJob(job *batchv1.Job) {
	GinkgoHelper()
	endJob(job, func(s *batchv1.JobStatus, at metav1.Time) {
		s.Succeeded, s.CompletedIndexes, s.CompletionTime = 1, "0", &at
		s.Conditions = []batchv1.JobCondition{
			{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, LastTransitionTime: at},
			{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: at},
		}
	})
}

// failJob plays the Job controller.
func failJob(job *batchv1.Job) {
	GinkgoHelper()
	endJob(job, func(s *batchv1.JobStatus, at metav1.Time) {
		s.Failed = 7
		s.Conditions = []batchv1.JobCondition{
			{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded", LastTransitionTime: at},
			{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded",
				Message: "Job has reached the specified backoff limit", LastTransitionTime: at},
		}
	})
}

func endJob(job *batchv1.Job, fn func(*batchv1.JobStatus, metav1.Time)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(job), job); err != nil {
			return err
		}
		at := metav1.NewTime(now.Now().Truncate(time.Second))
		if at.Before(&job.CreationTimestamp) {
			at = job.CreationTimestamp
		}
		job.Status.StartTime = &job.CreationTimestamp
		fn(&job.Status, at)
		return admin.Status().Update(ctx, job)
	}).Should(Succeed())
}

// reporter plays the reporter of a Job's pod, under its account.
type reporter struct {
	api  client.Client
	scan *v1alpha1.SIFScan
	job  *batchv1.Job
}

func reporterOf(scan *v1alpha1.SIFScan, job *batchv1.Job) reporter {
	GinkgoHelper()
	return reporter{as(serviceAccount(scan.Namespace, v1alpha1.ReporterServiceAccount)), scan, job}
}

// inventory is the first chunk of the reporter's ScanInventory.
func (r reporter) inventory(total int32, outcomes ...v1alpha1.EntryOutcome) *v1alpha1.ScanInventory {
	inventory := &v1alpha1.ScanInventory{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.scan.Namespace, Name: r.job.Name + "-w0-0",
			Labels: map[string]string{
				v1alpha1.LabelScan: r.scan.Name, v1alpha1.LabelScanUID: string(r.scan.UID), v1alpha1.LabelRun: r.job.Labels[v1alpha1.LabelRun],
				v1alpha1.LabelWorker: "0", v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "SIFScan", Name: r.scan.Name, UID: r.scan.UID,
			}},
		},
		Worker: v1alpha1.InventoryWorker{Total: ptr.To(total), Done: int32(len(outcomes))},
	}
	for i, outcome := range outcomes {
		entry := v1alpha1.InventoryEntry{Path: fmt.Sprintf("%d.sif", i), Outcome: outcome, CheckedAt: metav1.Now()}
		if outcome == v1alpha1.EntryScanned || outcome == v1alpha1.EntryUnchanged {
			entry.Report = fmt.Sprintf("sr-%d", i)
		}
		inventory.Entries = append(inventory.Entries, entry)
	}
	return inventory
}

// store creates the inventory, or writes over the one that is there.
func (r reporter) store(inventory *v1alpha1.ScanInventory) {
	GinkgoHelper()
	old := &v1alpha1.ScanInventory{}
	if err := r.api.Get(ctx, client.ObjectKeyFromObject(inventory), old); err == nil {
		inventory.ResourceVersion = old.ResourceVersion
		Expect(r.api.Update(ctx, inventory)).To(Succeed())
		return
	}
	Expect(r.api.Create(ctx, inventory)).To(Succeed())
}

// report is what the reporter writes of one image.
func (r reporter) report(name string, annotations ...string) *v1alpha1.ScanReport {
	GinkgoHelper()
	claim := &corev1.PersistentVolumeClaim{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: r.scan.Namespace, Name: "shared"}, claim)).To(Succeed())
	report := &v1alpha1.ScanReport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.scan.Namespace, Name: name,
			Labels: map[string]string{v1alpha1.LabelClaim: "shared", v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: claim.Name, UID: claim.UID,
			}},
		},
		Report: v1alpha1.Report{
			Target:     v1alpha1.ReportTarget{Kind: "sif", Path: "/shared/containers/a.sif"},
			Scanner:    v1alpha1.ReportScanner{Engine: "native"},
			ObservedAt: metav1.Now(),
		},
	}
	for i := 0; i < len(annotations); i += 2 {
		metav1.SetMetaDataAnnotation(&report.ObjectMeta, annotations[i], annotations[i+1])
	}
	return report
}

// artifact is the ConfigMap that holds a report's documents.
func (r reporter) artifact(report *v1alpha1.ScanReport, hash string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: report.Namespace, Name: v1alpha1.ArtifactPrefix + report.Name + "-" + hash,
			Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelArtifactOf: report.Name},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "ScanReport", Name: report.Name, UID: report.UID,
			}},
		},
		Immutable:  ptr.To(true),
		BinaryData: map[string][]byte{"sbom.spdx.json.gz": {0x1f, 0x8b}},
	}
}

// succeed plays a whole run over one image that is not assessed.
func succeed(scan *v1alpha1.SIFScan, job *batchv1.Job) {
	GinkgoHelper()
	r := reporterOf(scan, job)
	Expect(client.IgnoreAlreadyExists(r.api.Create(ctx, r.report("sr-0", v1alpha1.AnnotationPackages, "100/100")))).To(Succeed())
	r.store(r.inventory(1, v1alpha1.EntryScanned))
	endPod(startPod(job, "first"), 0, "Completed", "")
	completeJob(job)
	Eventually(get(scan)).Should(beReady(v1alpha1.ReasonNotAssessed))
}

// finishPods plays kubelet and the garbage collector after a Job was deleted.
func finishPods(namespace string) {
	GinkgoHelper()
	Expect(admin.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(namespace), client.GracePeriodSeconds(0))).To(Succeed())
}

// eventReasons are the reasons of the Events about a SIFScan.
func eventReasons(scan *v1alpha1.SIFScan) func() ([]string, error) {
	return func() ([]string, error) {
		list := &eventsv1.EventList{}
		err := admin.List(ctx, list, client.InNamespace(scan.Namespace))
		var reasons []string
		for _, e := range list.Items {
			if e.Regarding.UID == scan.UID {
				reasons = append(reasons, e.Reason)
			}
		}
		return reasons, err
	}
}

// conditionsOf writes the conditions in the form "Ready=False/Running", sorted.
func conditionsOf(scan *v1alpha1.SIFScan) string {
	var list []string
	for _, c := range scan.Status.Conditions {
		if c.Type == v1alpha1.ConditionCovered {
			continue // of the run before; it has specs of its own
		}
		list = append(list, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func messageOf(scan *v1alpha1.SIFScan) string {
	if c := meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Message
	}
	return ""
}

func quantities(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

// writeFile writes a file of this spec and returns its path.
func writeFile(name, text string) string {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), name)
	Expect(os.WriteFile(path, []byte(text), 0o600)).To(Succeed())
	return path
}
