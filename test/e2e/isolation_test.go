// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// tokenDirs are where a token could be: the kernel resolves /var/run to what the image says, and
// an image without a link has both.
var tokenDirs = []string{"/var/run/secrets", "/run/secrets"}

const tokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// The processes are looked at from outside, for the images hold no program that could look from inside.
var _ = Describe("Inside a scan pod", Ordered, func() {
	var (
		s                 *site
		scan              *v1alpha1.SIFScan
		scanner, reporter process
		// token of the reporter that runs.
		token string
	)

	BeforeAll(func() {
		s = busySite()
		scan = s.busyScan().create()
		scanner = holdMidway(scan)
		reporter = awaitProcess(scan, "reporter")
		text, err := os.ReadFile(reporter.inside(tokenFile))
		Expect(err).NotTo(HaveOccurred())
		token = string(text)
	})

	It("gives the scanner no token", func() {
		for _, dir := range tokenDirs {
			Expect(scanner.inside(dir)).NotTo(BeAnExistingFile())
		}
		for point := range scanner.mounts() {
			Expect(point).NotTo(ContainSubstring("secrets"))
		}
		environment, err := os.ReadFile(scanner.file("environ"))
		Expect(err).NotTo(HaveOccurred())
		Expect(string(environment)).NotTo(ContainSubstring("eyJ"), "a JSON Web Token begins so")
	})

	It("runs the scanner and the reporter without root, capabilities, new privileges or unfiltered system calls", func() {
		for _, p := range []process{scanner, reporter} {
			Expect(p.status("Uid")).To(Equal("65532 65532 65532 65532"))
			Expect(p.status("Gid")).To(Equal("65532 65532 65532 65532"))
			for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
				Expect(p.status(set)).To(Equal("0000000000000000"), set)
			}
			Expect(p.status("NoNewPrivs")).To(Equal("1"))
			Expect(p.status("Seccomp")).To(Equal("2"), "a filter")
		}
	})

	It("mounts the volume read-only, for the scanner alone", func() {
		Expect(strings.Split(scanner.mounts()["/target"], ",")).To(ContainElement("ro"))
		Expect(os.WriteFile(scanner.inside("/target/00.sif"), nil, 0o644)).To(MatchError(unix.EROFS), "root on the node cannot write there")
		Expect(reporter.mounts()).NotTo(HaveKey("/target"))
		Expect(reporter.inside("/target")).NotTo(BeADirectory())
	})

	It("mounts everything read-only but the directory that each of them writes", func() {
		const hosts = "/etc/hosts" // kubelet's, which only root can write
		writable := func(p process) []string {
			var points []string
			for point, options := range p.mounts() {
				system := strings.HasPrefix(point, "/proc") || strings.HasPrefix(point, "/sys") || strings.HasPrefix(point, "/dev")
				if !system && !strings.HasPrefix(options, "ro") {
					points = append(points, point)
				}
			}
			return points
		}
		Expect(writable(scanner)).To(ConsistOf("/results", hosts))
		Expect(writable(reporter)).To(ConsistOf("/state", hosts))
		Expect(os.Stat(scanner.inside(hosts))).To(HaveField("Mode()", os.FileMode(0o644)))
	})

	It("gives the reporter a token of its own account, for this pod", func() {
		review := &authenticationv1.SelfSubjectReview{}
		Expect(reporterClient(token).Create(ctx, review)).To(Succeed())
		Expect(review.Status.UserInfo.Username).To(Equal("system:serviceaccount:" + s.namespace + ":sifscan-reporter"))
		Expect(review.Status.UserInfo.Extra).To(HaveKeyWithValue("authentication.kubernetes.io/pod-name",
			authenticationv1.ExtraValue{podsOf(scan)[0].Name}))
	})

	DescribeTable("lets the reporter's token", func(act func(client.Client) error, refusal string) {
		err := act(reporterClient(token))
		Expect(err).To(MatchError(ContainSubstring(refusal)))
		Expect(err).To(MatchError(Or(ContainSubstring("is forbidden"), ContainSubstring("denied request"))), "refused, and not for another reason")
	},
		Entry("read no Secret", func(c client.Client) error {
			return c.List(ctx, &corev1.SecretList{}, client.InNamespace(s.namespace))
		}, "cannot list resource \"secrets\""),
		Entry("read no ConfigMap", func(c client.Client) error {
			return c.List(ctx, &corev1.ConfigMapList{}, client.InNamespace(s.namespace))
		}, "cannot list resource \"configmaps\""),
		Entry("create no plain ConfigMap", func(c client.Client) error {
			return create(c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "plain"}})
		}, "exactly one owner"),
		Entry("create no artifact of another owner", func(c client.Client) error {
			forged := anArtifact(scan)
			forged.OwnerReferences = []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "SIFScan", Name: scan.Name, UID: scan.UID}}
			return create(c, forged)
		}, "exactly one owner, its ScanReport"),
		Entry("create no artifact under another report's name", func(c client.Client) error {
			forged := anArtifact(scan)
			forged.OwnerReferences[0].Name = "sr-another"
			return create(c, forged)
		}, "begins with sifscan-sr-another-"),
		Entry("create no artifact that can be changed later", func(c client.Client) error {
			forged := anArtifact(scan)
			forged.Immutable = nil
			return create(c, forged)
		}, "immutable"),
		Entry("change no artifact", func(c client.Client) error {
			return c.Update(ctx, theArtifact(scan), client.DryRunAll)
		}, "cannot update resource \"configmaps\""),
		Entry("delete no artifact", func(c client.Client) error {
			return c.Delete(ctx, theArtifact(scan), client.DryRunAll)
		}, "cannot delete resource \"configmaps\""),
		Entry("give no report to another owner", func(c client.Client) error {
			report := aReport(scan)
			report.OwnerReferences[0].UID = "another-claim"
			return c.Update(ctx, &report, client.DryRunAll)
		}, "stays with the PersistentVolumeClaim"),
		Entry("delete no report", func(c client.Client) error {
			report := aReport(scan)
			return c.Delete(ctx, &report, client.DryRunAll)
		}, "cannot delete resource \"scanreports\""),
		Entry("write no report in another namespace", func(c client.Client) error {
			report := aReport(scan)
			report.ObjectMeta = metav1.ObjectMeta{Namespace: "default", Name: report.Name, Labels: report.Labels, OwnerReferences: report.OwnerReferences}
			return create(c, &report)
		}, "cannot create resource \"scanreports\""),
		Entry("write no artifact in another namespace", func(c client.Client) error {
			forged := anArtifact(scan)
			forged.Namespace = "default"
			return create(c, forged)
		}, "cannot create resource \"configmaps\""),
		Entry("see no Job", func(c client.Client) error {
			return c.List(ctx, &batchv1.JobList{}, client.InNamespace(s.namespace))
		}, "cannot list resource \"jobs\""),
		Entry("end no Job", func(c client.Client) error {
			return c.Delete(ctx, &jobsOf(scan)[0], client.DryRunAll)
		}, "cannot delete resource \"jobs\""),
		Entry("start no pod", func(c client.Client) error {
			return create(c, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "mine"},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "c"}}}})
		}, "cannot create resource \"pods\""),
		Entry("change no SIFScan", func(c client.Client) error {
			return c.Update(ctx, scan.DeepCopy(), client.DryRunAll)
		}, "cannot update resource \"sifscans\""),
	)

	It("lets that token do what the reporter is for", func() {
		c := reporterClient(token)
		Expect(c.List(ctx, &v1alpha1.ScanReportList{}, client.InNamespace(s.namespace))).To(Succeed())
		Expect(create(c, anArtifact(scan))).To(Succeed())
		report := aReport(scan)
		Expect(c.Update(ctx, &report, client.DryRunAll)).To(Succeed())
	})

	It("finishes after all that", func() {
		scanner.signal(unix.SIGCONT)
		Eventually(get(scan)).Should(beDone())
	})
})

// reporterClient is a client whose only credential is a token.
func reporterClient(token string) client.Client {
	GinkgoHelper()
	config := rest.AnonymousClientConfig(restConfig)
	config.BearerToken = token
	c, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// create asks whether the API server would create an object.
func create(c client.Client, obj client.Object) error { return c.Create(ctx, obj, client.DryRunAll) }

// aReport returns a report of the SIFScan's namespace that has documents.
func aReport(scan *v1alpha1.SIFScan) v1alpha1.ScanReport {
	GinkgoHelper()
	for _, report := range reportsOf(scan) {
		if len(report.Report.Artifacts) > 0 {
			return report
		}
	}
	Fail("no report has documents")
	return v1alpha1.ScanReport{}
}

// theArtifact returns a ConfigMap of documents that the reporter made.
func theArtifact(scan *v1alpha1.SIFScan) *corev1.ConfigMap {
	GinkgoHelper()
	report := aReport(scan)
	artifact := &corev1.ConfigMap{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: scan.Namespace, Name: report.Report.Artifacts[0].ConfigMap}, artifact)).To(Succeed())
	return artifact
}

// anArtifact is a ConfigMap such as the reporter makes, which is not there yet.
func anArtifact(scan *v1alpha1.SIFScan) *corev1.ConfigMap {
	GinkgoHelper()
	made := theArtifact(scan)
	report := made.OwnerReferences[0].Name
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: made.Namespace, Name: v1alpha1.ArtifactPrefix + report + "-new",
			Labels: made.Labels, OwnerReferences: made.OwnerReferences,
		},
		Immutable:  ptr.To(true),
		BinaryData: made.BinaryData,
	}
}
