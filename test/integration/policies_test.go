// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// awaitPolicies waits until the API server enforces every policy: it compiles them some time
// after they were created.
func awaitPolicies() {
	GinkgoHelper()
	const namespace = "policies"
	Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
	// An administrator's group under the accounts' names: only admission can refuse.
	reporter := serviceAccount(namespace, v1alpha1.ReporterServiceAccount)
	reporter.Groups = []string{"system:masters"}
	manager := serviceAccount("sifscan-system", "sifscan-manager")
	manager.Groups = []string{"system:masters"}
	stranger := rest.ImpersonationConfig{UserName: "stranger", Groups: []string{"system:authenticated"}}
	grant(namespace, "sifscan-editor", "stranger")

	plain := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "plain"}}
	Expect(admin.Create(ctx, plain)).To(Succeed())
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "plain"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "none", Image: "none"}}},
	}
	Expect(admin.Create(ctx, pod)).To(Succeed())
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "none"}
	for _, refused := range []func() error{
		func() error { return as(stranger).Create(ctx, makeScan(namespace, "any"), client.DryRunAll) },
		func() error { return as(reporter).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta}, client.DryRunAll) },
		func() error { return as(reporter).Create(ctx, bareReport(meta), client.DryRunAll) },
		func() error {
			return as(reporter).Create(ctx, &v1alpha1.ScanInventory{ObjectMeta: meta}, client.DryRunAll)
		},
		func() error { return as(manager).Delete(ctx, plain, client.DryRunAll) },
		func() error { return as(manager).Delete(ctx, pod, client.DryRunAll) },
	} {
		Eventually(refused).Should(MatchError(ContainSubstring("ValidatingAdmissionPolicy")))
	}
}

func bareReport(meta metav1.ObjectMeta) *v1alpha1.ScanReport {
	return &v1alpha1.ScanReport{ObjectMeta: meta, Report: v1alpha1.Report{
		Target: v1alpha1.ReportTarget{Kind: "sif", Path: "/a"}, Scanner: v1alpha1.ReportScanner{Engine: "native"}, ObservedAt: metav1.Now(),
	}}
}

// grant binds a ClusterRole to a user in a namespace.
func grant(namespace, role, user string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role + "-" + user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
}

// grantPods lets a user create pods in a namespace. The role edit would, in a cluster whose
// controllers aggregate roles.
func grantPods(namespace, user string) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pods"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create"}}},
	})).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pods"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "pods"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
}

var _ = Describe("Who may have a volume scanned", func() {
	const user = "alice"
	var alice client.Client
	var namespace string
	BeforeEach(func() {
		namespace = newNamespace()
		grant(namespace, "sifscan-editor", user)
		alice = as(rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}})
	})

	It("refuses a user who may not create pods there, and names the missing right", func() {
		err := alice.Create(ctx, makeScan(namespace, "images"))
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(And(ContainSubstring("alice may not create pods in namespace "+namespace), ContainSubstring("verb create on resource pods"))))
	})

	It("lets a user who may create pods there create, change and rescan", func() {
		grantPods(namespace, user)
		scan := makeScan(namespace, "images")
		Eventually(func() error { return alice.Create(ctx, scan) }).Should(Succeed())
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Suspend = true })
	})

	It("refuses the user a change of what is scanned, and a rescan, but not a label", func() {
		scan := makeScan(namespace, "images")
		scan.Spec.Suspend = true
		Expect(admin.Create(ctx, scan)).To(Succeed())
		refused := func(fn func(*v1alpha1.SIFScan)) error {
			changed := scan.DeepCopy()
			fn(changed)
			return alice.Patch(ctx, changed, client.MergeFrom(scan))
		}
		Expect(refused(func(s *v1alpha1.SIFScan) { s.Spec.Target.Volume.ClaimName = "other" })).To(MatchError(ContainSubstring("may not create pods")))
		Expect(refused(func(s *v1alpha1.SIFScan) {
			s.Annotations = map[string]string{v1alpha1.AnnotationRescanAt: "now"}
		})).To(MatchError(ContainSubstring("may not create pods")))
		Expect(refused(func(s *v1alpha1.SIFScan) { s.Labels = map[string]string{"a": "b"} })).To(Succeed())
	})

	It("gives the reports to nobody who may only read scans", func() {
		Expect(alice.List(ctx, &v1alpha1.ScanReportList{}, client.InNamespace(namespace))).To(MatchError(ContainSubstring("forbidden")))
		grant(namespace, "sifscan-report-viewer", user)
		Eventually(func() error { return alice.List(ctx, &v1alpha1.ScanReportList{}, client.InNamespace(namespace)) }).Should(Succeed())
	})
})

var _ = Describe("What a reporter may write", func() {
	var r reporter
	var report *v1alpha1.ScanReport
	BeforeEach(func() {
		r = reporterOf(startedScan(newNamespace()))
		report = r.report("sr-mine")
		Expect(r.api.Create(ctx, report)).To(Succeed())
	})

	It("stores reports, inventories and artifacts as it should", func() {
		r.store(r.inventory(1, v1alpha1.EntryScanned))
		r.store(r.inventory(2, v1alpha1.EntryScanned))
		Expect(r.api.Create(ctx, r.artifact(report, "0123"))).To(Succeed())
		report.Labels["sifscan.io/owner-uid"] = "4242"
		Expect(r.api.Update(ctx, report)).To(Succeed())
	})

	It("reads no Secret, ConfigMap, pod or SIFScan", func() {
		in := client.InNamespace(r.scan.Namespace)
		for _, list := range []client.ObjectList{&corev1.SecretList{}, &corev1.ConfigMapList{}, &corev1.PodList{}, &v1alpha1.SIFScanList{}} {
			Expect(r.api.List(ctx, list, in)).To(MatchError(ContainSubstring("forbidden")), "%T", list)
		}
	})

	It("changes and deletes no ConfigMap, not even its own, and deletes no report", func() {
		artifact := r.artifact(report, "0123")
		Expect(r.api.Create(ctx, artifact)).To(Succeed())
		for name, err := range map[string]error{
			"update": r.api.Update(ctx, artifact), "delete": r.api.Delete(ctx, artifact), "delete report": r.api.Delete(ctx, report),
		} {
			Expect(err).To(MatchError(ContainSubstring("forbidden")), name)
		}
	})

	It("writes nothing in another namespace", func() {
		other := newNamespace()
		elsewhere := report.DeepCopy()
		elsewhere.Namespace, elsewhere.ResourceVersion = other, ""
		artifact := r.artifact(report, "0123")
		artifact.Namespace = other
		for _, obj := range []client.Object{elsewhere, artifact} {
			Expect(r.api.Create(ctx, obj)).To(MatchError(ContainSubstring("forbidden")), "%T", obj)
		}
	})

	DescribeTable("a ConfigMap that is no artifact is refused",
		func(change func(*corev1.ConfigMap), message string) {
			artifact := r.artifact(report, "0123")
			change(artifact)
			Expect(r.api.Create(ctx, artifact)).To(MatchError(ContainSubstring(message)))
		},
		Entry("a plain one", func(c *corev1.ConfigMap) { c.ObjectMeta = metav1.ObjectMeta{Namespace: c.Namespace, Name: "plain"} }, "exactly one owner"),
		Entry("under another report's name", func(c *corev1.ConfigMap) { c.Name = "sifscan-sr-other-0123" }, "begins with sifscan-sr-mine-"),
		Entry("labelled for another report", func(c *corev1.ConfigMap) { c.Labels[v1alpha1.LabelArtifactOf] = "sr-other" }, "artifact-of"),
		Entry("of another kind of owner", func(c *corev1.ConfigMap) { c.OwnerReferences[0].Kind = "SIFScan" }, "exactly one owner"),
		Entry("of two owners", func(c *corev1.ConfigMap) {
			second := c.OwnerReferences[0]
			second.UID = "other"
			c.OwnerReferences = append(c.OwnerReferences, second)
		}, "exactly one owner"),
		Entry("that can be changed", func(c *corev1.ConfigMap) { c.Immutable = nil }, "immutable"),
		Entry("with text that a pod might read as its configuration", func(c *corev1.ConfigMap) { c.Data = map[string]string{"a": "b"} }, "no data"),
	)

	DescribeTable("a report that is not a report of the claim is refused",
		func(change func(*v1alpha1.ScanReport), message string) {
			other := r.report("sr-other")
			change(other)
			Expect(r.api.Create(ctx, other)).To(MatchError(ContainSubstring(message)))
		},
		Entry("under another name", func(o *v1alpha1.ScanReport) { o.Name = "other" }, "begins with sr-"),
		Entry("that the operator's caches would not hold", func(o *v1alpha1.ScanReport) { delete(o.Labels, v1alpha1.LabelManagedBy) }, "managed-by"),
		Entry("without an owner, which would stay for ever", func(o *v1alpha1.ScanReport) { o.OwnerReferences = nil }, "exactly one owner"),
		Entry("of another kind of owner", func(o *v1alpha1.ScanReport) { o.OwnerReferences[0].Kind = "Secret" }, "exactly one owner"),
		Entry("that cannot be deleted", func(o *v1alpha1.ScanReport) { o.Finalizers = []string{"example.com/mine"} }, "finalizers"),
	)

	DescribeTable("a report does not move",
		func(change func(*v1alpha1.ScanReport), message string) {
			change(report)
			Expect(r.api.Update(ctx, report)).To(MatchError(ContainSubstring(message)))
		},
		Entry("to another claim's owner", func(o *v1alpha1.ScanReport) { o.OwnerReferences[0].UID = "other" }, "stays with the PersistentVolumeClaim"),
		Entry("to another claim's label", func(o *v1alpha1.ScanReport) { o.Labels[v1alpha1.LabelClaim] = "other" }, "does not change"),
	)

	DescribeTable("an inventory of somebody else is refused",
		func(change func(*v1alpha1.ScanInventory), message string) {
			inventory := r.inventory(1)
			change(inventory)
			Expect(r.api.Create(ctx, inventory)).To(MatchError(ContainSubstring(message)))
		},
		Entry("of another scan by label", func(i *v1alpha1.ScanInventory) { i.Labels[v1alpha1.LabelScanUID] = "other" }, "is the UID of its owner"),
		Entry("of another scan by owner", func(i *v1alpha1.ScanInventory) { i.OwnerReferences[0].UID = types.UID("other") }, "is the UID of its owner"),
		Entry("without an owner", func(i *v1alpha1.ScanInventory) { i.OwnerReferences = nil }, "exactly one owner"),
		Entry("that the operator's caches would not hold", func(i *v1alpha1.ScanInventory) { delete(i.Labels, v1alpha1.LabelManagedBy) }, "managed-by"),
	)

	It("does not take over the inventory of another scan", func() {
		inventory := r.inventory(1)
		Expect(r.api.Create(ctx, inventory)).To(Succeed())
		inventory.Labels[v1alpha1.LabelScanUID] = "other"
		inventory.OwnerReferences[0].UID = "other"
		Expect(r.api.Update(ctx, inventory)).To(MatchError(ContainSubstring("stays with the SIFScan")))
	})
})

var _ = Describe("What the operator may do", func() {
	It("deletes no ConfigMap but artifacts", func() {
		namespace := newNamespace()
		manager := as(serviceAccount("sifscan-system", "sifscan-manager"))
		plain := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "sifscan-config"}}
		Expect(admin.Create(ctx, plain)).To(Succeed())
		Expect(manager.Delete(ctx, plain)).To(MatchError(ContainSubstring("deletes only ConfigMaps that hold documents")))
	})

	It("has no verb on Secrets, and binds no role but the reporter's", func() {
		namespace := newNamespace()
		manager := as(serviceAccount("sifscan-system", "sifscan-manager"))
		Expect(manager.List(ctx, &corev1.SecretList{}, client.InNamespace(namespace))).To(MatchError(ContainSubstring("forbidden")))
		Expect(manager.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "more"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		})).To(MatchError(ContainSubstring("forbidden")))
		Expect(manager.Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "more"}})).To(MatchError(ContainSubstring("forbidden")))
		Expect(manager.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "more"}})).To(MatchError(ContainSubstring("forbidden")))
	})
})
