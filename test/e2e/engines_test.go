// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const (
	// tokenSecret holds engineToken.
	tokenSecret = "qualys"
	engineToken = "e2e-token-0123456789abcdef"
	// engineMemory leaves an engine 922 MiB: the agent keeps a tenth for itself.
	engineMemory = "1Gi"
	// engineTimeout is what an image that hangs takes.
	engineTimeout = 15 * time.Second
)

// What qscanner's double does with each image, by the file that it looks for in it (test/qscanner-double).
var behaviours = map[image]string{
	"well.sif":   "print-token",
	"no-os.sif":  "exit 15",
	"late.sif":   "exit 40",
	"later.sif":  "exit 40 times 1", // counted in the extracted image: another extraction would begin at none
	"denied.sif": "exit 42",
	"hangs.sif":  "hang",
	"hungry.sif": "eat 985661440", // 940 MiB: more than the engine may have, and less than the container
}

var _ = Describe("An engine that the site supplies", func() {
	It("ends as its exit code says, at its limits, and each image alone", func() {
		s := newSite().secret()
		for i := range behaviours {
			s.image(i, string(i))
		}
		scan := s.qscanner().create()
		Eventually(get(scan)).Should(have("Complete=True/Degraded", "Ready=True/Degraded", degraded, "PolicyPassed=False/PolicyDenied"))

		Expect(outcomesOf(scan)).To(Equal(outcomes{
			"well.sif": v1alpha1.EntryScanned, "later.sif": v1alpha1.EntryScanned, "denied.sif": v1alpha1.EntryScanned,
			"no-os.sif": v1alpha1.EntryFailed, "late.sif": v1alpha1.EntryFailed, "hangs.sif": v1alpha1.EntryFailed, "hungry.sif": v1alpha1.EntryFailed,
		}))
		for path, matches := range map[string]gomegatypes.GomegaMatcher{
			"no-os.sif":  failWith(v1alpha1.ReasonOSNotFound, "(exit code 15)"),
			"late.sif":   And(failWith(v1alpha1.ReasonReportUnavailable, "(tried 3 times)"), HaveField("Report.Summary.Packages", BeNumerically(">", 0))),
			"hangs.sif":  failWith(v1alpha1.ReasonDeadlineExceeded, "raise spec.scanner.timeout"),
			"hungry.sif": And(failWith(v1alpha1.ReasonOOMKilled, "than the 922Mi it may have"), failWith(v1alpha1.ReasonOOMKilled, "raise spec.resources.limits.memory")),
			"denied.sif": HaveField("Annotations", HaveKeyWithValue(v1alpha1.AnnotationPolicy, v1alpha1.ReasonPolicyDenied)),
			"well.sif":   HaveField("Report.Summary", HaveField("Critical", HaveValue(BeNumerically(">", 0)))),
		} {
			Expect(reportOf(scan, path)).To(matches, path)
		}
		Expect(meta.FindStatusCondition(scan.Status.Conditions, v1alpha1.ConditionPolicyPassed).Message).To(
			ContainSubstring("the platform's policy denies 1 image: " + mountPath + "/denied.sif"))
		Expect(podsOf(scan)).To(HaveExactElements(HaveField("Status.Phase", corev1.PodSucceeded)), "no image took the pod with it")

		logs, err := tryKubectl("", "-n", s.namespace, "logs", podsOf(scan)[0].Name, "--all-containers")
		Expect(err).NotTo(HaveOccurred())
		Expect(logs).NotTo(ContainSubstring(engineToken))
		Expect(document(reportOf(scan, "well.sif"), "inventory.json")).To(And(ContainSubstring("made by a double"), Not(ContainSubstring(engineToken))))
	})

	It("waits for a Secret that GitOps has not brought yet, and goes on by itself, on a volume of its own", func() {
		s := newSite().image("well.sif", "a.sif")
		wanted := s.qscanner()
		scratch := s.scratch(&wanted.Spec.Tmp, "1Gi")
		scan := wanted.create()
		Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonCredentialsMissing), say(`secret "`+tokenSecret+`" not found`)))
		s.secret()
		Eventually(get(scan)).Should(have("Complete=True/Succeeded", "Ready=True/Succeeded", "PolicyPassed=True/Succeeded"))
		Expect(os.ReadDir(scratch)).To(BeEmpty(), "what was extracted is removed")
	})

	It("reads its database from a volume, and extracts into memory", func() {
		s := newSite().image("well.sif", "images/a.sif").
			file("double", "trivy/db/trivy.db").file(`{"UpdatedAt":"`+time.Now().UTC().Format(time.RFC3339)+`"}`, "trivy/db/metadata.json")
		scan := s.executed(v1alpha1.EngineTrivy)
		scan.Spec.Scanner.Trivy = &v1alpha1.TrivyEngine{Database: &v1alpha1.TrivyDatabase{ClaimName: claimName, Path: "trivy"}}
		scan.Spec.Tmp.Medium = corev1.StorageMediumMemory
		Eventually(get(scan.create())).Should(have("Complete=True/Succeeded", "Ready=True/Succeeded"))

		Expect(scan.Status.Summary).To(HaveField("Critical", HaveValue(BeEquivalentTo(1))))
		report := reportOf(scan.SIFScan, "images/a.sif").Report
		Expect(report.Scanner).To(And(HaveField("Engine", "trivy"), HaveField("Version", "double-0.74.0")))
		Expect(report.Findings).To(HaveExactElements(HaveField("IDs.CVE", "CVE-2099-0001")))
	})
})

// secret creates the Secret with the engine's token.
func (s *site) secret() *site {
	GinkgoHelper()
	Expect(admin.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: tokenSecret},
		StringData: map[string]string{v1alpha1.QscannerTokenKey: engineToken},
	})).To(Succeed())
	return s
}

// scratch makes tmp a volume of its own, and returns that volume's directory.
func (s *site) scratch(tmp *v1alpha1.Tmp, size string) (dir string) {
	GinkgoHelper()
	dir, err := os.MkdirTemp("", "sifscan-e2e-scratch-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	Expect(os.Chmod(dir, 0o777)).To(Succeed(), "no fsGroup makes it the scan user's")
	class, room := s.namespace+"-"+strings.ToLower(size), resource.MustParse(size)
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: class},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: room},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			StorageClassName:              class,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: dir, Type: ptr.To(corev1.HostPathDirectory)},
			},
		},
	}
	Expect(admin.Create(ctx, volume)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(admin.Delete(ctx, volume))).To(Succeed()) })
	*tmp = v1alpha1.Tmp{VolumeClaimTemplate: &v1alpha1.TmpClaimTemplate{Spec: v1alpha1.TmpClaimSpec{
		StorageClassName: &class,
		Resources:        v1alpha1.TmpClaimResources{Requests: v1alpha1.TmpClaimRequests{Storage: room}},
	}}}
	return dir
}

// executed begins a SIFScan with an engine that reads extracted images.
func (s *site) executed(engine v1alpha1.Engine) wrapper {
	w := s.scan().limit(corev1.ResourceMemory, engineMemory)
	w.Spec.Scanner.Engine = engine
	w.Spec.Scanner.Timeout = &metav1.Duration{Duration: engineTimeout}
	w.Spec.Tmp.SizeLimit = ptr.To(resource.MustParse("256Mi"))
	return w
}

// qscanner begins a SIFScan that asks a platform for its verdict.
func (s *site) qscanner() wrapper {
	w := s.executed(v1alpha1.EngineQscanner)
	w.Spec.Scanner.Qscanner = &v1alpha1.QscannerEngine{
		Platform: "US2", Mode: v1alpha1.QscannerEvaluatePolicy, CredentialsSecretName: tokenSecret,
	}
	return w
}
