// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

const nodeNamespace = "sifscan-node"

// siteNodeScans is the operator's configuration of node scans during most specs.
func siteNodeScans() *sifscan.NodeScansConfig {
	tolerations, err := sifscan.ParseTolerations(sifscan.DefaultNodeTolerations)
	Expect(err).NotTo(HaveOccurred())
	return &sifscan.NodeScansConfig{
		Namespace: nodeNamespace, Slots: sifscan.DefaultNodeSlots, Tolerations: tolerations, MemoryLimit: sifscan.DefaultNodeMemory,
		NodeEnginesConfig: sifscan.NodeEnginesConfig{TmpLimit: sifscan.DefaultNodeTmp},
	}
}

// makeNode makes a node that is ready, with a label of its own spec.
func makeNode(name, pool string, changes ...func(*corev1.Node)) *corev1.Node {
	GinkgoHelper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pool": pool}}}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	for _, change := range changes {
		change(node)
	}
	status := node.Status
	Expect(admin.Create(ctx, node)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(admin.Delete(ctx, node))).To(Succeed()) })
	// The API server gives a new node the taint not-ready, which the node controller takes off.
	change(node, func(n *corev1.Node) {
		n.Spec.Taints = slices.DeleteFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeNotReady })
	})
	node.Status = status
	Expect(admin.Status().Update(ctx, node)).To(Succeed())
	return node
}

func nodeCondition(kind corev1.NodeConditionType, status corev1.ConditionStatus, since time.Time) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Status.Conditions = slices.DeleteFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == kind })
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: kind, Status: status, LastTransitionTime: metav1.NewTime(since)})
	}
}

// nodeJobsOf are the Jobs of a SIFScan on nodes, by node: those that list, and those that read.
func nodeJobsOf(scan *v1alpha1.SIFScan) (listing, reading map[string]*batchv1.Job) {
	GinkgoHelper()
	jobs := &batchv1.JobList{}
	Expect(admin.List(ctx, jobs, client.InNamespace(nodeNamespace), client.MatchingLabels{v1alpha1.LabelScanUID: string(scan.UID)})).To(Succeed())
	listing, reading = map[string]*batchv1.Job{}, map[string]*batchv1.Job{}
	for i := range jobs.Items {
		job := &jobs.Items[i]
		if slices.Contains(scannerArgs(job), "--list-only") {
			listing[job.Annotations[v1alpha1.AnnotationNode]] = job
		} else if _, over := conditionOf(job); !over {
			reading[job.Annotations[v1alpha1.AnnotationNode]] = job
		}
	}
	return listing, reading
}

func conditionOf(job *batchv1.Job) (batchv1.JobCondition, bool) {
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed {
			return c, true
		}
	}
	return batchv1.JobCondition{}, false
}

func scannerArgs(job *batchv1.Job) []string { return job.Spec.Template.Spec.Containers[0].Args }

// listingOf waits for the Job that lists a node's containers.
func listingOf(scan *v1alpha1.SIFScan, node string) (job *batchv1.Job) {
	GinkgoHelper()
	Eventually(func() *batchv1.Job {
		listing, _ := nodeJobsOf(scan)
		job = listing[node]
		return job
	}).ShouldNot(BeNil(), "the Job that lists node %s", node)
	return job
}

// readingOf waits for a Job that reads images, and tells on which node.
func readingOf(scan *v1alpha1.SIFScan) (node string, job *batchv1.Job) {
	GinkgoHelper()
	Eventually(func() *batchv1.Job {
		_, reading := nodeJobsOf(scan)
		for node, job = range reading {
			return job
		}
		return nil
	}).ShouldNot(BeNil(), "a Job that reads images")
	return node, job
}

// keysOf are the images that a Job is to read.
func keysOf(job *batchv1.Job) []string {
	var keys []string
	for _, arg := range scannerArgs(job) {
		if key, ok := strings.CutPrefix(arg, "--image-key="); ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// keyOf is the key of an image, as the agent makes them.
func keyOf(image string) string { return "v1-" + strings.Repeat(fmt.Sprintf("%02x", image[0]), 32) }

func container(image string, changes ...func(*v1alpha1.InventoryContainer)) v1alpha1.InventoryContainer {
	c := v1alpha1.InventoryContainer{
		Key: keyOf(image), Image: "/shared/" + image + ".sif", User: 4242, PIDs: []int32{100}, Ranks: 1, Since: metav1.Now(), Mode: v1alpha1.ContainerExec,
	}
	for _, change := range changes {
		change(&c)
	}
	return c
}

// nodeReporter plays the reporter of a node's pod, under the account of its run.
func nodeReporter(scan *v1alpha1.SIFScan, job *batchv1.Job) reporter {
	GinkgoHelper()
	return reporter{as(serviceAccount(nodeNamespace, job.Spec.Template.Spec.ServiceAccountName)), scan, job}
}

// containers stores what is alive on the node of a Job, with entries of the images that were read.
func (r reporter) containers(list ...v1alpha1.InventoryContainer) {
	GinkgoHelper()
	worker := r.job.Labels[v1alpha1.LabelWorker]
	index, err := strconv.Atoi(worker)
	Expect(err).NotTo(HaveOccurred())
	inventory := r.inventory(0)
	inventory.Name = argument(r.job, "--job-name=") + "-w" + worker + "-0"
	inventory.Labels[v1alpha1.LabelWorker] = worker
	inventory.Worker.Index, inventory.Worker.Node = int32(index), r.job.Annotations[v1alpha1.AnnotationNode]
	inventory.Containers = list
	for _, c := range list {
		if c.Report != "" {
			inventory.Entries = append(inventory.Entries, v1alpha1.InventoryEntry{Path: c.Image, Outcome: v1alpha1.EntryScanned, Report: c.Report, CheckedAt: metav1.Now()})
		}
	}
	inventory.Worker.Total = ptr.To(int32(len(inventory.Entries)))
	r.store(inventory)
}

// argument of the reporter.
func argument(job *batchv1.Job, flag string) string {
	for _, c := range job.Spec.Template.Spec.InitContainers {
		for _, arg := range c.Args {
			if value, ok := strings.CutPrefix(arg, flag); ok {
				return value
			}
		}
	}
	return ""
}

// liveReport is what the reporter of a node writes of one image.
func (r reporter) liveReport(image, node string) *v1alpha1.ScanReport {
	return &v1alpha1.ScanReport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.scan.Namespace, Name: "sr-" + image, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			Annotations: map[string]string{v1alpha1.AnnotationPackages: "100/0", v1alpha1.AnnotationCounts: "1/2/0/0/0", v1alpha1.AnnotationOutcome: v1alpha1.OutcomeScanned},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "SIFScan", Name: r.scan.Name, UID: r.scan.UID,
			}},
		},
		Report: v1alpha1.Report{
			Target:  v1alpha1.ReportTarget{Kind: "sif", Path: "/shared/" + image + ".sif", Node: node},
			Scanner: v1alpha1.ReportScanner{Engine: "native"}, ObservedAt: metav1.Now(),
		},
	}
}

// finishNode plays kubelet and the Job controller: the scanner of a node ended, with a word or none.
func finishNode(job *batchv1.Job, verdict string) {
	GinkgoHelper()
	endPod(startNodePod(job), 0, "Completed", verdict)
	endJob(job, func(s *batchv1.JobStatus, at metav1.Time) {
		s.Succeeded, s.CompletionTime = 1, &at
		s.Conditions = []batchv1.JobCondition{
			{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, LastTransitionTime: at},
			{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: at},
		}
	})
}

// failNode plays them where the last pod died.
func failNode(job *batchv1.Job, code int32, reason, verdict string) {
	GinkgoHelper()
	endPod(startNodePod(job), code, reason, verdict)
	failJob(job)
}

// startNodePod plays the Job controller and the scheduler.
func startNodePod(job *batchv1.Job) *corev1.Pod {
	GinkgoHelper()
	pod := newNodePod(job)
	pod.Spec.NodeName = job.Annotations[v1alpha1.AnnotationNode]
	Expect(admin.Create(ctx, pod)).To(Succeed())
	return pod
}

func newNodePod(job *batchv1.Job) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, GenerateName: job.Name + "-", Labels: job.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Spec: *job.Spec.Template.Spec.DeepCopy(),
	}
}
