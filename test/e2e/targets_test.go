// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/fixtures"
)

var _ = Describe("What is scanned", func() {
	It("scans the file that is named, whatever its name, and keeps its packages and documents", func() {
		s := newSite().image(debian, "debian-12.image").image(alpine, "other.sif")
		scan := s.scan().paths("/shared/debian-12.image").create()
		Eventually(get(scan)).Should(beDone())

		Expect(outcomesOf(scan)).To(Equal(outcomes{"debian-12.image": v1alpha1.EntryScanned}))
		Expect(reportsOf(scan)).To(HaveLen(1))
		report := reportOf(scan, "debian-12.image")
		Expect(report.Report.OS).To(HaveField("Name", "Debian GNU/Linux 12 (bookworm)"))
		Expect(report.Report.Summary).To(HaveField("Packages", BeEquivalentTo(debianPackages)))
		Expect(report.Report.Target).To(HaveField("Kind", "sif"))
		Expect(document(report, "sbom.spdx.json")).To(And(
			ContainSubstring(`"SPDX-2.3"`), ContainSubstring("pkg:deb/debian/openssl@3.0.11-1~deb12u2"), ContainSubstring("pkg:pypi/requests@2.31.0")))
		Expect(scan.Status.Summary).To(HaveField("Packages", BeEquivalentTo(debianPackages)))
	})

	It("scans directories and globs without what is excluded, and opens only names that images have", func() {
		s := newSite().image(alpine,
			"group/a.sif", "group/deep/b.simg", "group/notes.txt", "group/old/c.sif",
			"users/u1/d.sif", "users/u2/e.sif", "users/u2/scratch/f.sif", "elsewhere/g.sif")
		scan := s.scan().paths("group", "users/*/*.sif").exclude("**/old", "users/u2/scratch/**").create()
		Eventually(get(scan)).Should(beDone())

		Expect(outcomesOf(scan)).To(Equal(outcomes{
			"group/a.sif": v1alpha1.EntryScanned, "group/deep/b.simg": v1alpha1.EntryScanned,
			"users/u1/d.sif": v1alpha1.EntryScanned, "users/u2/e.sif": v1alpha1.EntryScanned,
		}))
		Expect(scan.Status.Targets).To(HaveValue(Equal(v1alpha1.TargetCounts{Discovered: 4, Scanned: 4})))
	})

	It("fails with NoTargets where nothing is found, and says what to check", func() {
		s := newSite().image(alpine, "images/a.sif")
		scan := s.scan().paths("imagse/*.sif").create()
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNoTargets), say("imagse")))
	})

	It("fails with NoTargets where files match and none has an image's name, and names them", func() {
		s := newSite().file("nothing to see here", "readme.txt")
		scan := s.scan().create()
		Eventually(get(scan)).Should(And(beStalled(v1alpha1.ReasonNoTargets), say("readme.txt"), say("fileNames")))
		Expect(reportsOf(scan)).To(BeEmpty())
	})

	It("reports what is no image and what is broken by name, and scans the others", func() {
		s := newSite().image(debian, "good.sif").file(string(debian.cut()), "cut.sif").file("remember the milk\n", "notes.sif")
		scan := s.scan().create()
		Eventually(get(scan)).Should(beDone(degraded))

		Expect(outcomesOf(scan)).To(Equal(outcomes{
			"cut.sif": v1alpha1.EntryFailed, "good.sif": v1alpha1.EntryScanned, "notes.sif": v1alpha1.EntryUnsupported,
		}))
		Expect(reportOf(scan, "cut.sif")).To(failWith(v1alpha1.ReasonCorruptImage, "bytes"))
		Expect(reportOf(scan, "notes.sif")).To(failWith(v1alpha1.ReasonUnsupported, ""))
		Expect(reportOf(scan, "good.sif").Report.Summary).To(HaveField("Packages", BeEquivalentTo(debianPackages)))
		Expect(scan.Status.Targets).To(HaveValue(Equal(v1alpha1.TargetCounts{Discovered: 3, Scanned: 1, Failed: 1, Unsupported: 1})))
	})

	It("is not held up by a FIFO, nor led out of the volume by a link", func() {
		s := newSite().image(alpine, "good.sif").with(func(t *fixtures.Tree) {
			t.FIFO("pipe.sif").Symlink("environ.sif", "/proc/self/environ").Symlink("up.sif", "../../../../etc/passwd")
		})
		scan := s.scan().create()
		Eventually(get(scan)).Should(beDone(degraded))

		Expect(outcomesOf(scan)).To(Equal(outcomes{
			"environ.sif": v1alpha1.EntryUnsupported, "good.sif": v1alpha1.EntryScanned,
			"pipe.sif": v1alpha1.EntryUnsupported, "up.sif": v1alpha1.EntryUnsupported,
		}))
		Expect(reportOf(scan, "pipe.sif")).To(failWith(v1alpha1.ReasonUnsupported, "FIFO"))
		for _, link := range []string{"environ.sif", "up.sif"} {
			Expect(reportOf(scan, link)).To(failWith(v1alpha1.ReasonUnsupported, "link"))
		}
	})

	It("counts and names the files and directories that it may not read", func() {
		s := newSite().image(alpine, "good.sif", "private.sif", "closed/hidden.sif").with(func(t *fixtures.Tree) {
			t.Mode("private.sif", 0o600).Mode("closed", os.ModeDir|0o700)
		})
		scan := s.scan().create()
		Eventually(get(scan)).Should(beDone(partial))

		Expect(outcomesOf(scan)).To(Equal(outcomes{
			"closed": v1alpha1.EntryDenied, "good.sif": v1alpha1.EntryScanned, "private.sif": v1alpha1.EntryDenied,
		}))
		Expect(scan.Status.Targets).To(HaveValue(Equal(v1alpha1.TargetCounts{Discovered: 3, Scanned: 1, Denied: 2})))
	})

	It("reads a user's private file as that user where an administrator said so on the namespace", func() {
		s := newSite().annotated(v1alpha1.AnnotationRunAsUser, "4242").image(alpine, "mine.sif").with(func(t *fixtures.Tree) {
			t.Owner("mine.sif", 4242, 4242).Mode("mine.sif", 0o600)
		})
		scan := s.scan().create()
		Eventually(get(scan)).Should(beDone())
		Expect(reportOf(scan, "mine.sif").Report.Target).To(And(HaveField("UID", BeEquivalentTo(4242)), HaveField("Mode", "0600")))
	})
})
