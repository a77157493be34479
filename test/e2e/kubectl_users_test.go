// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// manifest is a SIFScan as a user writes it, with further lines of its spec.
func manifest(name, claim string, further ...string) string {
	return fmt.Sprintf(`apiVersion: sifscan.io/v1alpha1
kind: SIFScan
metadata: {name: %s}
spec:
  target: {volume: {claimName: %s, mountPath: /sif}}
  %s
`, name, claim, strings.Join(further, "\n  "))
}

// narrow requests leave room for other specs' pods.
const narrow = "resources: {requests: {cpu: 10m, memory: 32Mi}}"

var _ = Describe("With kubectl", func() {
	It("prints a table that fits a terminal, once kubectl wait says that the scan is complete", func() {
		s := newSite().image(debian, "py.sif").file(string(debian.cut()), "cut.sif").file("remember the milk\n", "txt.sif")
		kubectl(manifest("shared-images", claimName, narrow), "-n", s.namespace, "apply", "-f", "-")
		kubectl("", "-n", s.namespace, "wait", "--for=condition=Complete", "--timeout=120s", "sifscan/shared-images")

		table := kubectl("", "-n", s.namespace, "get", "sifscan,scanreport")
		for line := range strings.Lines(table) {
			Expect(len(line)).To(BeNumerically("<=", len("\n")+120), line)
		}
		golden, err := os.ReadFile(filepath.Join("testdata", "get.txt"))
		Expect(err).NotTo(HaveOccurred())
		Expect(withoutChance(table)).To(Equal(string(golden)))
	})

	It("changes and starts nothing when the same file is applied twenty times", func() {
		s := newSite().image(alpine, "a.sif")
		file := filepath.Join(GinkgoT().TempDir(), "sifscan.yaml")
		Expect(os.WriteFile(file, []byte(manifest("images", claimName, narrow)), 0o644)).To(Succeed())
		apply := func() string { return kubectl("", "-n", s.namespace, "apply", "-f", file) }
		Expect(apply()).To(ContainSubstring("created"))
		scan := &v1alpha1.SIFScan{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "images"}}
		Eventually(get(scan)).Should(beDone())
		version, jobs, pods := scan.ResourceVersion, jobsOf(scan), podsOf(scan)

		for range 20 {
			Expect(apply()).To(ContainSubstring("unchanged"))
		}
		Expect(get(scan)()).To(HaveField("ResourceVersion", version))
		Expect(uids(jobsOf(scan))).To(Equal(uids(jobs)))
		Expect(podsOf(scan)).To(HaveLen(len(pods)))
	})

	It("refuses a SIFScan of a user who may not create pods, and names the right that is missing", func() {
		s := newSite()
		const user = "alice"
		s.grant(user, rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"sifscans"}, Verbs: []string{"*"}})
		apply := func() (string, error) {
			return tryKubectl(manifest("images", claimName, narrow), "-n", s.namespace, "--as", user, "apply", "-f", "-", "--dry-run=server")
		}
		Eventually(func(g Gomega) {
			out, err := apply()
			g.Expect(err).To(HaveOccurred())
			g.Expect(out).To(And(ContainSubstring("alice may not create pods in namespace "+s.namespace),
				ContainSubstring("ask for a role with verb create on resource pods")))
		}).Should(Succeed())

		s.grant(user, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create"}})
		Eventually(func() error { _, err := apply(); return err }).Should(Succeed())
	})

	DescribeTable("says what to change in a wrong manifest:", func(spec, advice string) {
		text := "apiVersion: sifscan.io/v1alpha1\nkind: SIFScan\nmetadata: {name: wrong}\nspec: " + spec + "\n"
		out, err := tryKubectl(text, "-n", "default", "apply", "--dry-run=server", "-f", "-")
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring(advice))
	},
		Entry("no target", `{target: {}}`, "set exactly one of volume, list, running, directory and image"),
		Entry("a name that no claim can have", `{target: {volume: {claimName: Shared_Images}}}`, "use the name of a PersistentVolumeClaim"),
		Entry("a field that does not exist", `{target: {volume: {claim: shared}}}`, `unknown field "spec.target.volume.claim"`),
		Entry("an absolute subPath", `{target: {volume: {claimName: c, subPath: /images}}}`, "remove the leading '/'"),
		Entry("a subPath that leads out", `{target: {volume: {claimName: c, subPath: images/../..}}}`, "remove '..'"),
		Entry("a relative mountPath", `{target: {volume: {claimName: c, mountPath: shared}}}`, "begin it with '/'"),
		Entry("a path that leads out", `{target: {volume: {claimName: c, paths: ["../etc"]}}}`, "paths must stay inside the volume"),
		Entry("a file name with a directory", `{target: {volume: {claimName: c, fileNames: ["images/*.sif"]}}}`, "use paths for that"),
		Entry("an engine that is not there", `{target: {volume: {claimName: c}}, scanner: {engine: clair}}`, `supported values: "native"`),
		Entry("a format that is not there", `{target: {volume: {claimName: c}}, scanner: {formats: [pdf]}}`, `supported values: "json", "spdx", "cyclonedx"`),
		Entry("no time at all", `{target: {volume: {claimName: c}}, scanner: {timeout: 0s}}`, "use a duration of at least 1s"),
		Entry("a time that is none", `{target: {volume: {claimName: c}}, ttlAfterFinished: tomorrow}`, "ttlAfterFinished"),
		Entry("a negative time to live", `{target: {volume: {claimName: c}}, ttlAfterFinished: -1h}`, "such as 24h or 0s"),
		Entry("a label of the operator's", `{target: {volume: {claimName: c}}, scheduling: {labels: {sifscan.io/run: x}}}`, "remove keys that begin with sifscan.io/"),
		Entry("a policy that is not there", `{target: {volume: {claimName: c}}, rescan: Sometimes}`, `supported values: "WhenChanged", "Always"`),
	)
})

// grant gives a user a right in the site's namespace.
func (s *site) grant(user string, rule rbacv1.PolicyRule) {
	GinkgoHelper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, GenerateName: "may-"},
		Rules:      []rbacv1.PolicyRule{rule},
	}
	Expect(admin.Create(ctx, role)).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
}

var (
	reportName = regexp.MustCompile(`sr-[a-z2-7]{12}`)
	age        = regexp.MustCompile(`[0-9]+[smh]([0-9]+[sm])?$`)
)

// withoutChance replaces what differs from run to run: names made of the claim's UID, which also
// decide the order of reports, and ages.
func withoutChance(table string) string {
	var sections []string
	for section := range strings.SplitSeq(strings.TrimSpace(table), "\n\n") {
		lines := strings.Split(section, "\n")
		for i, line := range lines {
			line = reportName.ReplaceAllString(strings.TrimRight(line, " "), "sr-xxxxxxxxxxxx")
			lines[i] = age.ReplaceAllString(line, "0s")
		}
		slices.Sort(lines[1:])
		sections = append(sections, strings.Join(lines, "\n"))
	}
	return strings.Join(sections, "\n\n") + "\n"
}

// uids of objects.
func uids[T any, P interface {
	*T
	metav1.Object
}](objects []T) []types.UID {
	var all []types.UID
	for i := range objects {
		all = append(all, P(&objects[i]).GetUID())
	}
	return all
}
