// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Whoever may write ScanInventories in the SIFScan's namespace writes lists of nodes and images, too. Where pods run that see
// every process, they must not decide.
var _ = Describe("A forged ScanInventory", Serial, func() {
	var namespace, node, victim string
	var scan *v1alpha1.SIFScan
	var tenant client.Client
	var r reporter
	var listing *batchv1.Job
	BeforeEach(func() {
		namespace = newNamespace()
		node, victim = namespace+"-mine", namespace+"-victim"
		makeNode(node, namespace)
		makeNode(victim, "other")
		tenant = makeTenant(namespace, "forger")
		scan = scanOf(namespace, "running", v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: node}})
		Expect(admin.Create(ctx, scan)).To(Succeed())
		listing = listingOf(scan, node)
		r = nodeReporter(scan, listing)
	})

	// forge copies what the run's own worker would write, for another worker or another node.
	forge := func(worker, on string, image string) *v1alpha1.ScanInventory {
		i := r.inventory(0)
		i.Name = argument(listing, "--job-name=") + "-w" + worker + "-0"
		i.Labels[v1alpha1.LabelWorker] = worker
		i.Worker.Node = on
		i.Containers = []v1alpha1.InventoryContainer{container(image)}
		metav1.SetMetaDataAnnotation(&i.ObjectMeta, v1alpha1.AnnotationNodeOutcome, v1alpha1.ReasonSucceeded)
		return i
	}
	// nodesOfJobs are the nodes that the run's pods may come to.
	nodesOfJobs := func() (names []string) {
		GinkgoHelper()
		jobs := &batchv1.JobList{}
		Expect(admin.List(ctx, jobs, client.InNamespace(nodeNamespace), client.MatchingLabels{v1alpha1.LabelScanUID: string(scan.UID)})).To(Succeed())
		for _, job := range jobs.Items {
			terms := job.Spec.Template.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
			names = append(names, terms[0].MatchFields[0].Values...)
		}
		return names
	}

	It("of another worker sends no pod to the node that it names", func() {
		for _, worker := range []string{"1", "7", "4294967296"} {
			Expect(tenant.Create(ctx, forge(worker, victim, "forged"))).To(Succeed(), "admission holds reporters, not who may do everything in the namespace")
		}
		r.containers(container("pytorch"))
		finishNode(listing, "")
		_, job := readingOf(scan)
		Expect(keysOf(job)).To(ConsistOf(keyOf("pytorch")))
		Consistently(nodesOfJobs).Should(HaveEach(node))
	})

	It("in the place of the run's own leads its pods to no other node", func() {
		r.containers(container("pytorch"))
		own := &v1alpha1.ScanInventory{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: argument(listing, "--job-name=") + "-w0-0"}}
		Expect(tenant.Get(ctx, client.ObjectKeyFromObject(own), own)).To(Succeed())
		own.Worker.Node = victim
		own.Worker.Index = 1
		own.Containers = append(own.Containers, container("forged"))
		Expect(tenant.Update(ctx, own)).To(Succeed())
		finishNode(listing, "")
		_, job := readingOf(scan)
		Expect(job.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationNode, node))
		Consistently(nodesOfJobs).Should(HaveEach(node))
	})

	It("cannot reach where the list of nodes is kept", func() {
		accounts := &corev1.ServiceAccountList{}
		Expect(admin.List(ctx, accounts, client.InNamespace(nodeNamespace), client.MatchingLabels{v1alpha1.LabelScanUID: string(scan.UID)})).To(Succeed())
		Expect(accounts.Items).To(HaveLen(1))
		account := &accounts.Items[0]
		Expect(account.Annotations).To(HaveKeyWithValue("sifscan.io/nodes", ContainSubstring(node)))
		metav1.SetMetaDataAnnotation(&account.ObjectMeta, "sifscan.io/nodes", `[{"name":"`+victim+`"}]`)
		for who, api := range map[string]client.Client{"a tenant": tenant, "the node's reporter": r.api} {
			Expect(api.Update(ctx, account)).To(MatchError(ContainSubstring("forbidden")), who)
		}
	})
})

var _ = Describe("The namespace of node pods", func() {
	It("is the only one that takes privileged pods", func() {
		ours := &corev1.NamespaceList{}
		Expect(admin.List(ctx, ours, client.MatchingLabels{"app.kubernetes.io/name": "sifscan-operator"})).To(Succeed())
		for _, ns := range ours.Items {
			sees := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "sees-the-node"},
				Spec:       corev1.PodSpec{HostPID: true, Containers: []corev1.Container{{Name: "none", Image: "none"}}},
			}
			err := admin.Create(ctx, sees, client.DryRunAll)
			if ns.Name == nodeNamespace {
				Expect(err).NotTo(HaveOccurred())
			} else {
				Expect(err).To(MatchError(ContainSubstring("host namespaces (hostPID=true)")), ns.Name)
			}
		}
		Expect(ours.Items).To(ContainElement(HaveField("Name", nodeNamespace)))
		Expect(len(ours.Items)).To(BeNumerically(">", 1))
	})
})
