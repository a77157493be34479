// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// makeTenant lets a user do everything in a namespace, and nothing outside.
func makeTenant(namespace, user string) client.Client {
	GinkgoHelper()
	Expect(admin.Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "everything"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}}},
	})).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "everything"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "everything"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
	return as(rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}})
}

// letScanNodes gives a user the right over the cluster.
func letScanNodes(user string) {
	GinkgoHelper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "node-scanner-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "sifscan-node-scanner"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	Expect(admin.Create(ctx, binding)).To(Succeed())
	DeferCleanup(func() { Expect(admin.Delete(ctx, binding)).To(Succeed()) })
}

// makeLive is a SIFScan of the containers on nodes. It is suspended: what it may is asked before it runs.
func makeLive(namespace, name string, t v1alpha1.RunningTarget) *v1alpha1.SIFScan {
	scan := scanOf(namespace, name, v1alpha1.Target{Running: &t})
	scan.Spec.Suspend = true
	return scan
}

func makeLiveSchedule(namespace, name string) *v1alpha1.ScanSchedule {
	return &v1alpha1.ScanSchedule{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.ScanScheduleSpec{Schedule: "@yearly", Suspend: true, Template: v1alpha1.SIFScanTemplate{
			Spec: makeLive(namespace, name, v1alpha1.RunningTarget{NodeName: "n1"}).Spec,
		}},
	}
}

var _ = Describe("Who may have running containers scanned", func() {
	const user = "tenant"
	var tenant client.Client
	var namespace string
	refused := MatchError(And(
		ContainSubstring("tenant may not create nodescans.sifscan.io in the cluster"),
		ContainSubstring("ask an administrator for a ClusterRoleBinding to sifscan-node-scanner")))

	BeforeEach(func() {
		namespace = newNamespace()
		tenant = makeTenant(namespace, user)
		// Rights take a moment to be known, and so does the policy.
		Eventually(func() error {
			return tenant.Create(ctx, makeLive(namespace, "probe", v1alpha1.RunningTarget{NodeName: "n1"}), client.DryRunAll)
		}).Should(refused)
	})

	// theirs is a SIFScan that somebody else made, who may.
	theirs := func() *v1alpha1.SIFScan {
		GinkgoHelper()
		scan := makeLive(namespace, "theirs", v1alpha1.RunningTarget{NodeName: "n1"})
		Expect(admin.Create(ctx, scan)).To(Succeed())
		return scan
	}
	patch := func(obj client.Object, fn func()) error {
		before := obj.DeepCopyObject().(client.Object)
		fn()
		return tenant.Patch(ctx, obj, client.MergeFrom(before))
	}

	It("refuses whoever may do everything in the namespace, and names the missing right", func() {
		err := tenant.Create(ctx, makeLive(namespace, "mine", v1alpha1.RunningTarget{NodeName: "n1"}))
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		Expect(err).To(refused)
		Expect(tenant.Create(ctx, makeScan(namespace, "volume"))).To(Succeed(), "a scan of a volume is theirs to make")
	})

	It("refuses even who gives themselves the right in the namespace", func() {
		grant(namespace, "sifscan-node-scanner", user)
		Consistently(func() error {
			return tenant.Create(ctx, makeLive(namespace, "mine", v1alpha1.RunningTarget{NodeName: "n1"}), client.DryRunAll)
		}).Should(refused)
	})

	It("lets who has the right over the cluster create, change and rescan", func() {
		letScanNodes(user)
		scan := makeLive(namespace, "mine", v1alpha1.RunningTarget{NodeSelector: map[string]string{}})
		Eventually(func() error { return tenant.Create(ctx, scan) }).Should(Succeed())
		Eventually(func() error {
			Expect(tenant.Get(ctx, client.ObjectKeyFromObject(scan), scan)).To(Succeed())
			metav1.SetMetaDataAnnotation(&scan.ObjectMeta, v1alpha1.AnnotationRescanAt, "1")
			scan.Spec.Target.Running.ListOnly = true
			return tenant.Update(ctx, scan)
		}).Should(Succeed())
	})

	It("refuses rescan-at, any other annotation, a label and a change of the spec on what somebody else made", func() {
		scan := theirs()
		for what, fn := range map[string]func(){
			"rescan-at":             func() { metav1.SetMetaDataAnnotation(&scan.ObjectMeta, v1alpha1.AnnotationRescanAt, "now") },
			"another annotation":    func() { metav1.SetMetaDataAnnotation(&scan.ObjectMeta, "a", "b") },
			"a label":               func() { metav1.SetMetaDataLabel(&scan.ObjectMeta, v1alpha1.LabelSchedule, "x") },
			"resuming":              func() { scan.Spec.Suspend = false },
			"another node":          func() { scan.Spec.Target.Running.NodeName = "n2" },
			"a volume in its place": func() { scan.Spec.Target = makeScan(namespace, "x").Spec.Target },
		} {
			Expect(patch(scan, fn)).To(refused, what)
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(scan), scan)).To(Succeed())
		}
	})

	It("refuses to turn a scan of a volume into one of nodes", func() {
		scan := makeScan(namespace, "volume")
		scan.Spec.Suspend = true
		Expect(tenant.Create(ctx, scan)).To(Succeed())
		Expect(patch(scan, func() {
			scan.Spec.Target = v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: "n1"}}
		})).To(refused)
	})

	It("refuses to make a finished run look unfinished, which would start it again", func() {
		scan := theirs()
		Eventually(get(scan)).Should(beSuspended())
		before := scan.DeepCopy()
		scan.Status = v1alpha1.SIFScanStatus{}
		Expect(tenant.Status().Patch(ctx, scan, client.MergeFrom(before))).To(refused)
	})

	It("lets it be deleted, also in the foreground, whose bookkeeping writes finalizers", func() {
		scan := theirs()
		Expect(patch(scan, func() { scan.Finalizers = []string{"sifscan.io/test"} })).To(Succeed())
		Expect(patch(scan, func() {
			scan.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "any", UID: "any"}}
		})).To(Succeed())
		Expect(tenant.Delete(ctx, scan)).To(Succeed())
		Eventually(func() error {
			if err := tenant.Get(ctx, client.ObjectKeyFromObject(scan), scan); err != nil {
				return client.IgnoreNotFound(err)
			}
			return patch(scan, func() { scan.Finalizers = nil })
		}).Should(Succeed())
		Eventually(func() bool { return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(scan), scan)) }).Should(BeTrue())
	})

	It("asks the same of a ScanSchedule, for its template and for run-now", func() {
		Expect(tenant.Create(ctx, makeLiveSchedule(namespace, "mine"))).To(refused)
		schedule := makeLiveSchedule(namespace, "theirs")
		Expect(admin.Create(ctx, schedule)).To(Succeed())
		Expect(patch(schedule, func() { metav1.SetMetaDataAnnotation(&schedule.ObjectMeta, v1alpha1.AnnotationRunNow, "now") })).To(refused)
		Expect(patch(schedule, func() { schedule.Spec.Schedule = "@hourly" })).To(refused)
	})

	It("asks it of the account with which Flux or Argo CD applies, as of everybody", func() {
		const account = "system:serviceaccount:flux-system:kustomize-controller"
		gitops := makeTenant(newNamespace(), account)
		grant(namespace, "sifscan-editor", account)
		grantPods(namespace, account)
		apply := func() error {
			u := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": v1alpha1.GroupVersion.String(), "kind": "SIFScan",
				"metadata": map[string]any{"namespace": namespace, "name": "from-git"},
				"spec":     map[string]any{"suspend": true, "target": map[string]any{"running": map[string]any{"nodeName": "n1"}}},
			}}
			return gitops.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("kustomize-controller"))
		}
		missing := ContainSubstring(account + " may not create nodescans.sifscan.io in the cluster")
		Eventually(apply).Should(MatchError(missing))
		letScanNodes(account)
		Eventually(apply).Should(Succeed())
	})

	It("has it allowed by cluster-admin, which may do everything", func() {
		const account = "system:serviceaccount:argocd:argocd-application-controller"
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "gitops-"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: account}},
		}
		Expect(admin.Create(ctx, binding)).To(Succeed())
		DeferCleanup(func() { Expect(admin.Delete(ctx, binding)).To(Succeed()) })
		gitops := as(rest.ImpersonationConfig{UserName: account, Groups: []string{"system:authenticated"}})
		Eventually(func() error {
			return gitops.Create(ctx, makeLive(namespace, "from-git", v1alpha1.RunningTarget{NodeName: "n1"}))
		}).Should(Succeed())
	})

	It("exempts the operator by its name: a schedule's SIFScans are made", func() {
		schedule := makeLiveSchedule(namespace, "nightly")
		schedule.Spec.Suspend = false
		metav1.SetMetaDataAnnotation(&schedule.ObjectMeta, v1alpha1.AnnotationRunNow, "1")
		Expect(admin.Create(ctx, schedule)).To(Succeed())
		Eventually(func() ([]v1alpha1.SIFScan, error) {
			list := &v1alpha1.SIFScanList{}
			err := admin.List(ctx, list, client.InNamespace(namespace))
			return list.Items, err
		}).Should(HaveLen(1))
	})

	It("is a right in no aggregated role", func() {
		roles := &rbacv1.ClusterRoleList{}
		Expect(admin.List(ctx, roles)).To(Succeed())
		gives := func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "nodescans") }
		roles.Items = slices.DeleteFunc(roles.Items, func(r rbacv1.ClusterRole) bool { return !slices.ContainsFunc(r.Rules, gives) })
		Expect(roles.Items).To(ConsistOf(And(HaveField("Name", "sifscan-node-scanner"),
			HaveField("Labels", Not(HaveKey(HavePrefix("rbac.authorization.k8s.io/aggregate-to-")))))))
	})
})

var _ = DescribeTable("A manifest of running containers is refused with what to change",
	func(spec, message string) {
		manifest := "apiVersion: sifscan.io/v1alpha1\nkind: SIFScan\nmetadata: {name: wrong, namespace: default}\nspec: " + spec + "\n"
		out, err := tryKubectl("apply", "--dry-run=server", "-f", writeFile("wrong.yaml", manifest))
		Expect(err).To(HaveOccurred(), "it was accepted")
		Expect(out).To(ContainSubstring(message))
	},
	Entry("no nodes", running("", ""), "set exactly one of nodeName, nodeSelector and podSelector"),
	Entry("nodes in two ways", running("nodeName: n1, nodeSelector: {}", ""), "set exactly one of nodeName, nodeSelector and podSelector"),
	Entry("a process without its node", running("nodeSelector: {}, pid: 1", ""), "spec.target.running.pid: set nodeName, too"),
	Entry("namespaces of no pods", running("nodeName: n1, podNamespaces: [slurm]", ""), "spec.target.running.podNamespaces: set podSelector, too"),
	Entry("a node that no node can be named", running(`nodeName: "N 1"`, ""), "spec.target.running.nodeName: use the name of a node"),
	Entry("a job that is none", running(`nodeName: n1, slurmJobID: "4711_2"`, ""), "spec.target.running.slurmJobID: use the number of a job"),
	Entry("a tmp", running("nodeName: n1", "tmp: {sizeLimit: 1Gi}"), "spec.tmp: remove it"),
	Entry("resources", running("nodeName: n1", "resources: {limits: {cpu: 64}}"), "spec.resources: remove it"),
	Entry("a policy", running("nodeName: n1", "policy: {maxCritical: 0}"), "spec.policy: remove it"),
	Entry("everything again", running("nodeName: n1", "rescan: Always"), "spec.rescan: remove it"),
	Entry("documents on a claim", running("nodeName: n1", "reports: {artifacts: Volume, volume: {claimName: a}}"), "spec.reports: with spec.target.running set only maxFindings"),
	Entry("a node selector of the pods", running("nodeName: n1", "scheduling: {nodeSelector: {a: b}}"), "spec.scheduling: with spec.target.running set only tolerations"),
	Entry("an affinity", running("nodeName: n1", "scheduling: {affinity: {}}"), "spec.scheduling: with spec.target.running set only tolerations"),
	Entry("a priority", running("nodeName: n1", "scheduling: {priorityClassName: system-node-critical}"), "spec.scheduling: with spec.target.running set only tolerations"),
	Entry("labels of the pods", running("nodeName: n1", "scheduling: {labels: {a: b}}"), "spec.scheduling: with spec.target.running set only tolerations"),
	Entry("a database", running("nodeName: n1", "scanner: {native: {database: {claimName: a, path: b}}}"), "spec.scanner: with spec.target.running set only engine, scanTypes, formats and timeout"),
	Entry("credentials", running("nodeName: n1", "scanner: {engine: qscanner, qscanner: {platform: US2, credentialsSecretName: q}}"), "spec.scanner"),
	Entry("directories left out", running("nodeName: n1", "scanner: {excludeDirs: [/opt]}"), "spec.scanner: with spec.target.running set only engine, scanTypes, formats and timeout"),
)

func running(fields, rest string) string {
	return "{target: {running: {" + fields + "}}, " + rest + "}"
}

var _ = Describe("A manifest of running containers", func() {
	It("is accepted with all that may be set", func() {
		for _, spec := range []string{
			running("nodeName: n1, pid: 4711", ""),
			running("nodeName: n1", "scanner: {engine: qscanner}"),
			running("nodeName: n1", "scanner: {engine: trivy, scanTypes: [pkg]}"),
			running("nodeSelector: {}", "parallelism: 8, deadline: 1h, ttlAfterFinished: 1h, suspend: true"),
			running(`podSelector: {matchLabels: {app.kubernetes.io/name: slurmd}}, podNamespaces: [slurm], imagePattern: "*pytorch*", slurmJobID: "4711", listOnly: true`,
				"scanner: {engine: native, scanTypes: [pkg], formats: [json], timeout: 10m}, reports: {maxFindings: 5}, scheduling: {tolerations: [{key: slinky.slurm.net/slurm, operator: Exists}]}"),
		} {
			manifest := "apiVersion: sifscan.io/v1alpha1\nkind: SIFScan\nmetadata: {name: right, namespace: default}\nspec: " + spec + "\n"
			Expect(kubectl("apply", "--dry-run=server", "-f", writeFile("right.yaml", manifest))).To(ContainSubstring("created"))
		}
	})

	It("of a schedule names no process", func() {
		schedule := makeLiveSchedule(newNamespace(), "nightly")
		schedule.Spec.Template.Spec.Target.Running.PID = 1
		Expect(admin.Create(ctx, schedule)).To(MatchError(ContainSubstring("spec.template.spec.target.running.pid: remove it")))
	})

	It("shows its nodes in kubectl's table", func() {
		namespace := newNamespace()
		for name, t := range map[string]v1alpha1.RunningTarget{
			"a-name":     {NodeName: "the-node"},
			"a-selector": {NodeSelector: map[string]string{"pool": "gpu"}},
			"pods":       {PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "slurmd"}}},
		} {
			Expect(admin.Create(ctx, makeLive(namespace, name, t))).To(Succeed())
		}
		Expect(kubectl("get", "sifscans", "-n", namespace)).To(And(ContainSubstring("the-node"), ContainSubstring(`{"pool":"gpu"}`), ContainSubstring("slurmd")))
	})
})
