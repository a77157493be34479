// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// scanOf returns a SIFScan of a target that is no volume.
func scanOf(namespace, name string, t v1alpha1.Target) *v1alpha1.SIFScan {
	scan := makeScan(namespace, name)
	scan.Spec.Target = t
	return scan
}

var _ = Describe("A target that is no volume", func() {
	var namespace string
	BeforeEach(func() { namespace = newNamespace() })

	It("is named in kubectl's table", func() {
		for name, t := range map[string]v1alpha1.Target{
			"a-volume":    {Volume: &v1alpha1.VolumeTarget{ClaimName: "the-volume"}},
			"a-list":      {List: &v1alpha1.ListTarget{ConfigMap: v1alpha1.ListSource{Name: "the-list"}, Volumes: []v1alpha1.ListVolume{{ClaimName: "v", MountPath: "/v"}}}},
			"a-directory": {Directory: &v1alpha1.DirectoryTarget{ClaimName: "the-directory", Path: "/src"}},
			"an-image":    {Image: &v1alpha1.ImageTarget{Reference: "registry.example/the/image:1"}},
		} {
			Expect(admin.Create(ctx, scanOf(namespace, name, t))).To(Succeed())
		}
		table := map[string]string{}
		for _, line := range strings.Split(strings.TrimSpace(kubectl("get", "sifscans", "-n", namespace, "--no-headers")), "\n") {
			cells := strings.Fields(line)
			table[cells[0]] = cells[1]
		}
		Expect(table).To(Equal(map[string]string{
			"a-volume": "the-volume", "a-list": "the-list", "a-directory": "the-directory", "an-image": "registry.example/the/image:1",
		}))
	})

	It("waits for each claim and the ConfigMap of a list, and says for which", func() {
		Expect(admin.Create(ctx, makeClaim(namespace, "first"))).To(Succeed())
		scan := scanOf(namespace, "listed", v1alpha1.Target{List: &v1alpha1.ListTarget{
			ConfigMap: v1alpha1.ListSource{Name: "targets"},
			Volumes:   []v1alpha1.ListVolume{{ClaimName: "first", MountPath: "/a"}, {ClaimName: "second", MountPath: "/b"}},
		}})
		Expect(admin.Create(ctx, scan)).To(Succeed())
		waitingFor := func(text string) {
			GinkgoHelper()
			Eventually(func(g Gomega) {
				g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(scan), scan)).To(Succeed())
				g.Expect(messageOf(scan)).To(ContainSubstring(text))
				g.Expect(conditionsOf(scan)).To(ContainSubstring("Reconciling=True/VolumeNotFound"))
			}).Should(Succeed())
		}
		waitingFor("PersistentVolumeClaim second is not in Namespace " + namespace + ": create it, or correct spec.target.list.volumes[1].claimName")
		Expect(admin.Create(ctx, makeClaim(namespace, "second"))).To(Succeed())
		waitingFor("ConfigMap targets is not in Namespace " + namespace)

		Expect(admin.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "targets"}})).To(Succeed())
		change(scan, func(s *v1alpha1.SIFScan) { metav1.SetMetaDataAnnotation(&s.ObjectMeta, "example.com/look", "again") })
		job := theJob(scan)
		startPod(job, "first") // Pod Security takes it
		Expect(job.Spec.Template.Spec.Volumes).To(ContainElements(HaveField("Name", "target-0"), HaveField("Name", "target-1"), HaveField("Name", "list")))
	})

	It("is summed up from a report that belongs to the SIFScan", func() {
		scan := scanOf(namespace, "image", v1alpha1.Target{Image: &v1alpha1.ImageTarget{Reference: "registry.example/app:1", PullSecretName: "regcred"}})
		Expect(admin.Create(ctx, scan)).To(Succeed())
		job := theJob(scan)
		pod := startPod(job, "first")
		r := reporterOf(scan, job)
		Expect(r.api.Create(ctx, r.reportOfImage("sr-0", v1alpha1.AnnotationPackages, "7/7"))).To(Succeed())
		r.store(r.inventory(1, v1alpha1.EntryScanned))
		endPod(pod, 0, "Completed", "")
		completeJob(job)
		Eventually(get(scan)).Should(beReady(v1alpha1.ReasonNotAssessed))
		Expect(scan.Status.Summary.Packages).To(BeEquivalentTo(7))
	})
})

// reportOfImage is what the reporter writes of an image in a registry.
func (r reporter) reportOfImage(name string, annotations ...string) *v1alpha1.ScanReport {
	report := &v1alpha1.ScanReport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.scan.Namespace, Name: name, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
			OwnerReferences: []metav1.OwnerReference{r.owner()},
		},
		Report: v1alpha1.Report{
			Target:     v1alpha1.ReportTarget{Kind: "oci", Path: "registry.example/app:1", Reference: "registry.example/app:1"},
			Scanner:    v1alpha1.ReportScanner{Engine: "native"},
			ObservedAt: metav1.Now(),
		},
	}
	for i := 0; i < len(annotations); i += 2 {
		metav1.SetMetaDataAnnotation(&report.ObjectMeta, annotations[i], annotations[i+1])
	}
	return report
}

func (r reporter) owner() metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "SIFScan", Name: r.scan.Name, UID: r.scan.UID}
}

var _ = Describe("A report of an image in a registry", func() {
	var r reporter
	BeforeEach(func() { r = reporterOf(startedScan(newNamespace())) })

	It("is shared by the SIFScans that scanned it, and taken from none", func() {
		report := r.reportOfImage("sr-image")
		Expect(r.api.Create(ctx, report)).To(Succeed())
		other := r.owner()
		other.Name, other.UID = "other", "other"
		report.OwnerReferences = append(report.OwnerReferences, other)
		Expect(r.api.Update(ctx, report)).To(Succeed())
		report.OwnerReferences = report.OwnerReferences[1:]
		Expect(r.api.Update(ctx, report)).To(MatchError(ContainSubstring("stays with")))
	})

	DescribeTable("is refused",
		func(change func(*v1alpha1.ScanReport), message string) {
			report := r.reportOfImage("sr-image")
			change(report)
			Expect(r.api.Create(ctx, report)).To(MatchError(ContainSubstring(message)))
		},
		Entry("among the reports of a claim", func(o *v1alpha1.ScanReport) { o.Labels[v1alpha1.LabelClaim] = "shared" }, "on no other"),
		Entry("of a SIFScan and of something else", func(o *v1alpha1.ScanReport) {
			o.OwnerReferences = append(o.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: "shared", UID: "u"})
		}, "exactly one owner"),
		Entry("of another API's SIFScan", func(o *v1alpha1.ScanReport) { o.OwnerReferences[0].APIVersion = "example.com/v1" }, "exactly one owner"),
	)

	It("does not become a claim's, nor a claim's report a SIFScan's", func() {
		image, claims := r.reportOfImage("sr-image"), r.report("sr-claims")
		Expect(r.api.Create(ctx, image)).To(Succeed())
		Expect(r.api.Create(ctx, claims)).To(Succeed())
		image.OwnerReferences, claims.OwnerReferences = claims.OwnerReferences, image.OwnerReferences
		image.Labels, claims.Labels = claims.Labels, image.Labels
		for _, report := range []*v1alpha1.ScanReport{image, claims} {
			Expect(r.api.Update(ctx, report)).To(MatchError(ContainSubstring("stays with")))
		}
	})
})
