// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
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
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

var _ = Describe("A scan of running containers", Serial, func() {
	var namespace, pool string
	BeforeEach(func() {
		namespace = newNamespace()
		pool = namespace // of this spec alone
	})

	start := func(t v1alpha1.RunningTarget) *v1alpha1.SIFScan {
		GinkgoHelper()
		scan := scanOf(namespace, "running", v1alpha1.Target{Running: &t})
		Expect(admin.Create(ctx, scan)).To(Succeed())
		return scan
	}
	inPool := func() v1alpha1.RunningTarget {
		return v1alpha1.RunningTarget{NodeSelector: map[string]string{"pool": pool}}
	}
	inventories := func() map[string]v1alpha1.ScanInventory {
		GinkgoHelper()
		list := &v1alpha1.ScanInventoryList{}
		Expect(admin.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		byNode := map[string]v1alpha1.ScanInventory{}
		for _, i := range list.Items {
			byNode[i.Worker.Node] = i
		}
		return byNode
	}
	outcomeOf := func(node string) string {
		GinkgoHelper()
		i := inventories()[node]
		return i.Annotations[v1alpha1.AnnotationNodeOutcome]
	}
	account := func(scan *v1alpha1.SIFScan) runAccess {
		GinkgoHelper()
		accounts, bindings := &corev1.ServiceAccountList{}, &rbacv1.RoleBindingList{}
		of := client.MatchingLabels{v1alpha1.LabelScanUID: string(scan.UID)}
		Expect(admin.List(ctx, accounts, client.InNamespace(nodeNamespace), of)).To(Succeed())
		Expect(admin.List(ctx, bindings, client.InNamespace(namespace), of)).To(Succeed())
		return runAccess{len(accounts.Items), len(bindings.Items)}
	}

	It("lists all nodes first, then reads each image on one of the nodes that have it", func() {
		makeNode(pool+"-a", pool)
		makeNode(pool+"-b", pool)
		makeNode(namespace+"-elsewhere", "other")
		scan := start(inPool())
		onA, onB := listingOf(scan, pool+"-a"), listingOf(scan, pool+"-b")
		Expect(account(scan)).To(Equal(runAccess{1, 1}))
		Expect(onA.OwnerReferences).To(BeEmpty())
		Expect(onA.Spec.Template.Spec.NodeName).To(BeEmpty())

		nodeReporter(scan, onA).containers(container("pytorch", func(c *v1alpha1.InventoryContainer) { c.Ranks = 128 }), container("only-on-a"))
		finishNode(onA, "")
		Eventually(outcomeOf).WithArguments(pool + "-a").Should(Equal("Succeeded"))
		Consistently(func() map[string]*batchv1.Job { _, reading := nodeJobsOf(scan); return reading }).Should(BeEmpty(), "one node is not listed yet")
		nodeReporter(scan, onB).containers(container("pytorch"))
		finishNode(onB, "")

		var jobs map[string]*batchv1.Job
		Eventually(func() int { _, jobs = nodeJobsOf(scan); return len(jobs) }).Should(Equal(2))
		Expect(keysOf(jobs[pool+"-a"])).To(Equal([]string{keyOf("only-on-a")}))
		Expect(keysOf(jobs[pool+"-b"])).To(Equal([]string{keyOf("pytorch")}), "node a has work already")
		listing, _ := nodeJobsOf(scan)
		Expect(listing).To(HaveLen(2), "no node outside of the selection")
		for node, read := range map[string]func(*v1alpha1.InventoryContainer){
			"-a": func(c *v1alpha1.InventoryContainer) { c.Ranks = 128 }, "-b": func(c *v1alpha1.InventoryContainer) { c.Report = "sr-pytorch" },
		} {
			job := jobs[pool+node]
			r := nodeReporter(scan, job)
			list := []v1alpha1.InventoryContainer{container("pytorch", read)}
			image := "pytorch"
			if node == "-a" {
				image = "only-on-a"
				list = append(list, container(image, func(c *v1alpha1.InventoryContainer) { c.Report = "sr-only-on-a" }))
			}
			Expect(r.api.Create(ctx, r.liveReport(image, pool+node))).To(Succeed())
			r.containers(list...)
			finishNode(job, "")
		}

		Eventually(get(scan)).Should(beReady(v1alpha1.ReasonSucceeded))
		Expect(scan.Status.Nodes).To(HaveValue(Equal(v1alpha1.NodeCounts{Selected: 2, Done: 2})))
		Expect(scan.Status.Containers).To(HaveValue(Equal(v1alpha1.ContainerCounts{Found: 130, Images: 2})))
		Expect(scan.Status.Targets).To(HaveValue(Equal(v1alpha1.TargetCounts{Discovered: 2, Scanned: 2})))
		Expect(*scan.Status.Summary.Critical).To(Equal(int32(2)))
		Expect(inventories()[pool+"-a"].Containers[0].Report).To(Equal("sr-pytorch"), "what runs on a, too, was read on b")
		Expect(account(scan)).To(Equal(runAccess{0, 0}), "the account and its rights end with the run")
	})

	It("reads no image with listOnly", func() {
		makeNode(pool, pool)
		t := inPool()
		t.ListOnly = true
		scan := start(t)
		job := listingOf(scan, pool)
		nodeReporter(scan, job).containers(container("pytorch"))
		finishNode(job, "")
		Eventually(get(scan)).Should(And(beReady(v1alpha1.ReasonSucceeded), say("1 container of 1 image alive on 1 node")))
		_, reading := nodeJobsOf(scan)
		Expect(reading).To(BeEmpty())
	})

	It("says why it could not look at a node, and goes on with the others", func() {
		long := time.Now().Add(-time.Hour)
		makeNode(pool+"-1-cordoned", pool, func(n *corev1.Node) { n.Spec.Unschedulable = true })
		makeNode(pool+"-2-soperator", pool, nodeCondition("SlurmNodeDrain", corev1.ConditionTrue, long))
		makeNode(pool+"-3-silent", pool, nodeCondition(corev1.NodeReady, corev1.ConditionUnknown, long))
		makeNode(pool+"-4-tainted", pool, func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "owner", Value: "somebody", Effect: corev1.TaintEffectNoSchedule}}
		})
		makeNode(pool+"-5-slinky", pool, func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "slinky.slurm.net/slurm", Effect: corev1.TaintEffectNoExecute}}
		})
		makeNode(pool+"-6-slinky-drained", pool)
		drained := slurmdPod(namespace, "gpu-1", pool+"-6-slinky-drained")
		drained.Status.Conditions = []corev1.PodCondition{{Type: "SlurmNodeStateDrain", Status: corev1.ConditionTrue}}
		Expect(admin.Status().Update(ctx, drained)).To(Succeed())
		makeNode(pool+"-7-policy", pool)
		makeNode(pool+"-8-empty", pool)

		scan := start(inPool())
		slinky := listingOf(scan, pool+"-5-slinky")
		nodeReporter(scan, slinky).containers(container("pytorch"))
		failNode(listingOf(scan, pool+"-7-policy"), 1, "Error", `{"reason":"NodePolicyDenies","message":"AppArmor refuses ptrace: set --node-scans-apparmor-profile"}`)
		finishNode(listingOf(scan, pool+"-8-empty"), `{"reason":"NoContainers","message":"nothing of Apptainer is alive"}`)
		finishNode(slinky, "")
		_, job := readingOf(scan)
		r := nodeReporter(scan, job)
		Expect(r.api.Create(ctx, r.liveReport("pytorch", "x"))).To(Succeed())
		r.containers(container("pytorch", func(c *v1alpha1.InventoryContainer) { c.Report = "sr-pytorch" }))
		finishNode(job, "")

		Eventually(get(scan)).Should(have("Complete=True/Degraded Degraded=True/Degraded Ready=True/Degraded"))
		Expect(scan.Status.Nodes).To(HaveValue(Equal(v1alpha1.NodeCounts{Selected: 8, Done: 2, Failed: 1, Skipped: 5})))
		for node, outcome := range map[string]string{
			"-1-cordoned":       "NodeCordoned: node " + pool + "-1-cordoned is cordoned",
			"-2-soperator":      "NodeCordoned: Slurm has taken node " + pool + "-2-soperator out of service (its condition SlurmNodeDrain)",
			"-3-silent":         "NodeGone: node " + pool + "-3-silent is not ready since",
			"-4-tainted":        "Unschedulable: node " + pool + "-4-tainted has the taint owner=somebody:NoSchedule",
			"-5-slinky":         "Succeeded",
			"-6-slinky-drained": "NodeCordoned: Slurm has taken node " + pool + "-6-slinky-drained out of service (condition SlurmNodeStateDrain of pod gpu-1)",
			"-7-policy":         "NodePolicyDenies: AppArmor refuses ptrace",
			"-8-empty":          "NoContainers: nothing of Apptainer is alive",
		} {
			Expect(outcomeOf(pool+node)).To(HavePrefix(outcome), node)
		}
	})

	It("is stalled with the node's reason where there is only that node", func() {
		scan := start(v1alpha1.RunningTarget{NodeName: pool})
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNodeGone), say("there is no node "+pool)))
		Expect(scan.Status.CompletionTime).NotTo(BeNil())
	})

	It("is a failure where no node is selected, or nothing is what was asked for", func() {
		scan := start(inPool())
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNoTargets), say("no node has these labels")))

		makeNode(pool, pool)
		pattern := scanOf(namespace, "pattern", v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: pool, ImagePattern: "*tensorflow*"}})
		Expect(admin.Create(ctx, pattern)).To(Succeed())
		job := listingOf(pattern, pool)
		nodeReporter(pattern, job).containers()
		finishNode(job, `{"reason":"NoTargets","message":"no container matches"}`)
		Eventually(get(pattern)).Should(And(beStalled(v1alpha1.ReasonNoTargets), say("no container on 1 node is what")))
	})

	It("ends well where nothing is alive", func() {
		makeNode(pool, pool)
		scan := start(inPool())
		finishNode(listingOf(scan, pool), `{"reason":"NoContainers","message":"nothing"}`)
		Eventually(get(scan)).Should(beReady(v1alpha1.ReasonNoContainers))
	})

	It("reads an image on the next node that has it, where the first one fails or has lost it", func() {
		nodes := []string{pool + "-a", pool + "-b", pool + "-c"}
		for _, node := range nodes {
			makeNode(node, pool)
		}
		scan := start(inPool())
		for _, node := range nodes {
			job := listingOf(scan, node)
			nodeReporter(scan, job).containers(container("pytorch"))
			finishNode(job, "")
		}
		var tried []string
		for attempt := range 2 {
			node, job := readingOf(scan)
			tried = append(tried, node)
			if attempt == 0 {
				failNode(job, 137, "OOMKilled", "")
			} else {
				finishNode(job, `{"reason":"NoTargets","message":"the container has ended"}`)
			}
			Eventually(func() bool { _, r := nodeJobsOf(scan); return r[node] == nil }).Should(BeTrue())
		}
		node, job := readingOf(scan)
		Expect(append(tried, node)).To(ConsistOf(nodes))
		finishNode(job, `{"reason":"NoTargets","message":"the container has ended"}`)
		Eventually(get(scan)).Should(And(
			have("Complete=True/Degraded Degraded=True/Degraded Ready=True/Degraded"), say("--node-scans-memory-limit")))
		Expect(scan.Status.Targets).To(HaveValue(Equal(v1alpha1.TargetCounts{Discovered: 1, Failed: 1})))
	})

	It("gives up a node that has no room, and one that goes away under the pod", func() {
		makeNode(pool+"-full", pool)
		leaving := makeNode(pool+"-leaving", pool)
		scan := start(inPool())
		full := newNodePod(listingOf(scan, pool+"-full"))
		Expect(admin.Create(ctx, full)).To(Succeed())
		full.Status.Conditions = []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available: Too many pods",
			LastTransitionTime: metav1.NewTime(time.Now().Add(-time.Hour)),
		}}
		Expect(admin.Status().Update(ctx, full)).To(Succeed())
		startNodePod(listingOf(scan, pool+"-leaving"))
		Expect(admin.Delete(ctx, leaving)).To(Succeed())
		Eventually(get(scan)).WithTimeout(time.Minute).Should(beStalled(v1alpha1.ReasonUnschedulable))
		Expect(outcomeOf(pool + "-full")).To(ContainSubstring("Too many pods"))
		Expect(outcomeOf(pool + "-leaving")).To(HavePrefix("NodeGone"))
		listing, _ := nodeJobsOf(scan)
		Expect(listing).To(BeEmpty(), "nothing waits for them any more")
	})

	It("keeps what a node lists where it goes away while it reads, and reads the image on another", func() {
		nodes := map[string]*corev1.Node{}
		for _, name := range []string{pool + "-a", pool + "-b"} {
			nodes[name] = makeNode(name, pool)
		}
		scan := start(inPool())
		for name := range nodes {
			job := listingOf(scan, name)
			nodeReporter(scan, job).containers(container("pytorch"))
			finishNode(job, "")
		}
		left, job := readingOf(scan)
		startNodePod(job)
		Expect(admin.Delete(ctx, nodes[left])).To(Succeed())
		var on string
		Eventually(func() string { on, job = readingOf(scan); return on }).WithTimeout(time.Minute).ShouldNot(Equal(left))
		r := nodeReporter(scan, job)
		Expect(r.api.Create(ctx, r.liveReport("pytorch", on))).To(Succeed())
		r.containers(container("pytorch", func(c *v1alpha1.InventoryContainer) { c.Report = "sr-pytorch" }))
		finishNode(job, "")

		Eventually(get(scan)).Should(And(beReady(v1alpha1.ReasonSucceeded),
			say("1 of 2 nodes could not go on reading images: "+left+" (NodeGone); their ScanInventories say why")))
		Expect(scan.Status.Nodes).To(HaveValue(Equal(v1alpha1.NodeCounts{Selected: 2, Done: 2})))
		Expect(outcomeOf(left)).To(Equal("Succeeded"))
		Expect(inventories()[left].Annotations).To(HaveKeyWithValue("sifscan.io/node-reading", "NodeGone: there is no node "+left))
	})

	It("shows containers of the selected pods only, and tells the Slurm cluster and node set of each", func() {
		makeNode(pool, pool)
		makeNode(namespace+"-other", "other")
		slurmd := slurmdPod(namespace, "gpu-0", pool)
		scan := start(v1alpha1.RunningTarget{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "slurmd"}}})
		job := listingOf(scan, pool)
		Expect(job.Spec.Template.Spec.InitContainers[0].Args).To(ContainElement("--pod-uid=" + string(slurmd.UID)))
		listing, _ := nodeJobsOf(scan)
		Expect(listing).To(HaveLen(1))
		nodeReporter(scan, job).containers(container("pytorch", func(c *v1alpha1.InventoryContainer) {
			c.Pod = &v1alpha1.InventoryPod{UID: string(slurmd.UID)}
		}))
		finishNode(job, "")
		Eventually(outcomeOf).WithArguments(pool).Should(Equal("Succeeded"))
		inventory := inventories()[pool]
		Expect(inventory.Labels).To(And(
			HaveKeyWithValue(v1alpha1.LabelSlurmCluster, "cluster1"), HaveKeyWithValue(v1alpha1.LabelSlurmNodeSet, "gpu"), HaveKeyWithValue(v1alpha1.LabelSlurmPod, "gpu-0")))
		Expect(inventory.Containers[0].Pod).To(HaveValue(Equal(v1alpha1.InventoryPod{
			Namespace: namespace, Name: "gpu-0", UID: string(slurmd.UID),
			Labels: map[string]string{"slinky.slurm.net/cluster": "cluster1", "app.kubernetes.io/instance": "gpu"},
		})))
	})

	It("refuses a toleration that the administrator did not allow", func() {
		makeNode(pool, pool)
		scan := scanOf(namespace, "running", v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: pool}})
		scan.Spec.Scheduling.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNotAllowed), say("--node-scans-tolerations")))
	})

	It("ends its Jobs when it is suspended, and goes on with the same nodes", func() {
		makeNode(pool, pool)
		scan := start(inPool())
		listingOf(scan, pool)
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = true })
		Eventually(get(scan)).Should(beSuspended())
		listing, _ := nodeJobsOf(scan)
		Expect(listing).To(BeEmpty())
		makeNode(pool+"-new", pool)
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = false })
		finishNode(listingOf(scan, pool), `{"reason":"NoContainers","message":"nothing"}`)
		Eventually(get(scan)).Should(beReady(v1alpha1.ReasonNoContainers))
		Expect(scan.Status.Nodes.Selected).To(Equal(int32(1)))
	})

	It("leaves nothing on nodes when the SIFScan is deleted, or asks for another run", func() {
		makeNode(pool, pool)
		scan := start(inPool())
		first := listingOf(scan, pool)
		change(scan, func(s *v1alpha1.SIFScan) {
			metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.AnnotationRescanAt, "1")
		})
		Eventually(func() bool { return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(first), first)) }).Should(BeTrue())
		listingOf(scan, pool)
		Eventually(account).WithArguments(scan).Should(Equal(runAccess{1, 1}))
		Expect(admin.Delete(ctx, scan)).To(Succeed())
		Eventually(func() int { listing, _ := nodeJobsOf(scan); return len(listing) }).Should(BeZero())
		Eventually(account).WithArguments(scan).Should(Equal(runAccess{0, 0}))
	})

	It("keeps its finished Jobs, for their logs, as long as ttlAfterFinished says", func() {
		makeNode(pool, pool)
		scan := start(inPool())
		finishNode(listingOf(scan, pool), `{"reason":"NoContainers","message":"nothing"}`)
		Eventually(get(scan)).Should(beReady(v1alpha1.ReasonNoContainers))
		run := scan.Status.RunID
		Consistently(func() int { listing, _ := nodeJobsOf(scan); return len(listing) }).Should(Equal(1))
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.TTLAfterFinished = &metav1.Duration{} })
		Eventually(func() int { listing, _ := nodeJobsOf(scan); return len(listing) }).Should(BeZero())
		Expect(get(scan)()).To(HaveField("Status.RunID", run))
	})

	It("is swept at the operator's start, when it was deleted while none ran", func() {
		makeNode(pool, pool)
		scan := start(inPool())
		listingOf(scan, pool)
		operator.stop()
		Expect(admin.Delete(ctx, scan)).To(Succeed())
		Expect(account(scan)).To(Equal(runAccess{1, 1}))
		operator = startOperator(nil)
		Eventually(func() int { listing, _ := nodeJobsOf(scan); return len(listing) }).Should(BeZero())
		Eventually(account).WithArguments(scan).Should(Equal(runAccess{0, 0}))
	})

	It("is refused by an operator that is not configured for it", func() {
		operator.stop()
		operator = startOperator(nil, func(c *sifscan.OperatorConfig) { c.NodeScans = nil })
		DeferCleanup(func() {
			operator.stop()
			operator = startOperator(nil)
		})
		makeNode(pool, pool)
		scan := start(inPool())
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNotAllowed), say("--node-scans-namespace")))
		listing, _ := nodeJobsOf(scan)
		Expect(listing).To(BeEmpty())
	})

	It("runs qscanner where the operator is configured for it, with a token of the pods' own namespace", func() {
		makeNode(pool, pool)
		t := inPool()
		scan := scanOf(namespace, "running", v1alpha1.Target{Running: &t})
		scan.Spec.Scanner.Engine = v1alpha1.EngineQscanner
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNotAllowed), say("--node-scans-qscanner-credentials-secret")))

		operator.stop()
		operator = startOperator(nil, func(c *sifscan.OperatorConfig) {
			c.NodeScans.Qscanner = &v1alpha1.QscannerEngine{Platform: "US2", Mode: v1alpha1.QscannerGetReport, CredentialsSecretName: "node-qualys"}
		})
		DeferCleanup(func() {
			operator.stop()
			operator = startOperator(nil)
		})
		listing := listingOf(scan, pool)
		Expect(listing.Spec.Template.Spec.Containers[0].Env).NotTo(ContainElement(HaveField("Name", v1alpha1.QscannerTokenKey)), "who lists reads no image")
		nodeReporter(scan, listing).containers(container("pytorch"))
		finishNode(listing, "")
		_, job := readingOf(scan)
		Expect(job.Namespace).To(Equal(nodeNamespace))
		Expect(job.Spec.Template.Spec.Containers[0].Env).To(ContainElement(And(HaveField("Name", v1alpha1.QscannerTokenKey),
			HaveField("ValueFrom.SecretKeyRef.Name", "node-qualys"))))
		Expect(scannerArgs(job)).To(ContainElements("--engine=qscanner", "--platform=US2", "--mode=get-report", "--tmp-limit=10Gi"))
	})

	It("gives a node's reporter the SIFScan's namespace, its own SIFScan, and nothing else", func() {
		makeNode(pool, pool)
		scan := start(inPool())
		r := nodeReporter(scan, listingOf(scan, pool))
		Eventually(func() error { return r.api.List(ctx, &v1alpha1.ScanReportList{}, client.InNamespace(namespace)) }).Should(Succeed())
		other := newNamespace()
		for _, refused := range []error{
			r.api.List(ctx, &v1alpha1.ScanReportList{}, client.InNamespace(other)),
			r.api.List(ctx, &v1alpha1.ScanReportList{}, client.InNamespace(nodeNamespace)),
			r.api.List(ctx, &corev1.PodList{}, client.InNamespace(nodeNamespace)),
			r.api.List(ctx, &corev1.SecretList{}, client.InNamespace(namespace)),
		} {
			Expect(refused).To(MatchError(ContainSubstring("forbidden")))
		}
		elsewhere := scanOf(namespace, "elsewhere", v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: pool}})
		elsewhere.Spec.Suspend = true
		Expect(admin.Create(ctx, elsewhere)).To(Succeed())
		theirs := r.inventory(0)
		theirs.OwnerReferences[0].UID, theirs.Labels[v1alpha1.LabelScanUID] = elsewhere.UID, string(elsewhere.UID)
		Expect(r.api.Create(ctx, theirs)).To(MatchError(ContainSubstring("the reporter of a node writes the ScanInventories of its own SIFScan")))
		report := r.liveReport("x", pool)
		report.OwnerReferences[0].UID = elsewhere.UID
		Expect(r.api.Create(ctx, report)).To(MatchError(ContainSubstring("the reporter of a node writes ScanReports that its own SIFScan owns")))
	})

	It("lets the operator delete no RoleBinding but those of such runs", func() {
		manager := serviceAccount("sifscan-system", "sifscan-manager")
		theirs := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		}
		Expect(admin.Create(ctx, theirs)).To(Succeed())
		Eventually(func() error { return as(manager).Delete(ctx, theirs, client.DryRunAll) }).Should(
			MatchError(ContainSubstring("the operator deletes only RoleBindings that it made for a scan of nodes")))
	})
})

// runAccess counts accounts and bindings of a run.
type runAccess struct{ accounts, bindings int }

// slurmdPod makes a pod as Slinky's slurm-operator labels them.
func slurmdPod(namespace, name, node string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{
			"app.kubernetes.io/name": "slurmd", "app.kubernetes.io/component": "worker", "app.kubernetes.io/instance": "gpu",
			"slinky.slurm.net/cluster": "cluster1", "unrelated": "label",
		}, OwnerReferences: []metav1.OwnerReference{nodeSetOf(namespace)}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "slurmd", Image: "slurmd"}}},
	}
	relaxed := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	change(relaxed, func(n *corev1.Namespace) { n.Labels["pod-security.kubernetes.io/enforce"] = "privileged" })
	Expect(admin.Create(ctx, pod)).To(Succeed())
	DeferCleanup(func() {
		Expect(client.IgnoreNotFound(admin.Delete(ctx, pod, client.GracePeriodSeconds(0)))).To(Succeed())
	})
	pod.Status.Phase = corev1.PodRunning
	Expect(admin.Status().Update(ctx, pod)).To(Succeed())
	return pod
}
