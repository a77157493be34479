// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

// siteQscanner is the engine that the operator of these specs has; it has no trivy.
var siteQscanner = &sifscan.QscannerConfig{
	Binary:      sifscan.Binary{Image: "registry.example/qscanner@sha256:" + strings.Repeat("0a", 32), Path: "/qscanner"},
	CAConfigMap: "site-ca",
	JavaDB:      &v1alpha1.DatabaseSource{ClaimName: "java-db"},
}

var _ = Describe("An engine that the site supplies", func() {
	var namespace string
	BeforeEach(func() {
		namespace = newNamespace()
		Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
	})
	withQscanner := func() *v1alpha1.SIFScan {
		scan := makeScan(namespace, "images")
		scan.Spec.Scanner.Engine = v1alpha1.EngineQscanner
		scan.Spec.Scanner.Qscanner = &v1alpha1.QscannerEngine{Platform: "US2", CredentialsSecretName: "qualys"}
		return scan
	}

	DescribeTable("runs in a pod that the API server takes, under Pod Security restricted, whatever its tmp",
		func(tmp v1alpha1.Tmp) {
			Expect(admin.Create(ctx, makeClaim(namespace, "java-db"))).To(Succeed())
			scan := withQscanner()
			scan.Spec.Tmp = tmp
			Expect(admin.Create(ctx, scan)).To(Succeed())
			pod := startPod(theJob(scan), "first")
			Expect(pod.Spec.InitContainers).To(HaveLen(3))
			Expect(pod.Spec.Volumes).To(ContainElement(HaveField("Name", "java-db")))
		},
		Entry("by default", v1alpha1.Tmp{}),
		Entry("in memory", v1alpha1.Tmp{SizeLimit: ptr.To(resource.MustParse("1Gi")), Medium: corev1.StorageMediumMemory}),
		Entry("on a volume of its own", v1alpha1.Tmp{VolumeClaimTemplate: &v1alpha1.TmpClaimTemplate{Spec: v1alpha1.TmpClaimSpec{
			Resources: v1alpha1.TmpClaimResources{Requests: v1alpha1.TmpClaimRequests{Storage: resource.MustParse("50Gi")}},
		}}}),
	)

	It("goes without the site's Java database where the namespace has none", func() {
		scan := withQscanner()
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Expect(theJob(scan).Spec.Template.Spec.Volumes).NotTo(ContainElement(HaveField("Name", "java-db")))
	})

	It("is waited for as long as its Secret is missing", func() {
		scan := withQscanner()
		Expect(admin.Create(ctx, scan)).To(Succeed())
		pod := startPod(theJob(scan), "first")
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "scanner", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: `secret "qualys" not found`},
		}}}
		Expect(admin.Status().Update(ctx, pod)).To(Succeed())
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonCredentialsMissing), say(`secret "qualys" not found; create it`)))
	})

	It("is refused where the operator has none, until the spec names another", func() {
		scan := makeScan(namespace, "images")
		scan.Spec.Scanner.Engine = v1alpha1.EngineTrivy
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNotAllowed), say("the operator has no binary of the engine trivy")))
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Scanner.Engine = v1alpha1.EngineNative })
		theJob(scan)
	})

	It("is refused a tmp in memory that the pod has not, until it has", func() {
		scan := withQscanner()
		scan.Spec.Tmp.Medium = corev1.StorageMediumMemory
		Expect(admin.Create(ctx, scan)).To(Succeed())
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonInvalidSpec), say("raise that to 10752Mi at least, or lower sizeLimit")))
		change(scan, func(s *v1alpha1.SIFScan) { s.Spec.Tmp.SizeLimit = ptr.To(resource.MustParse("2Gi")) })
		theJob(scan)
	})
})
