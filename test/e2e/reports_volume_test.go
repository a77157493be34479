// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// reportsClaim is the claim of a site that documents are kept on.
const reportsClaim = "reports"

// reportsVolume makes a volume for documents that a user may write to, and returns its directory.
func (s *site) reportsVolume(uid int) string {
	GinkgoHelper()
	dir, err := os.MkdirTemp("", "sifscan-e2e-reports-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, dir)
	Expect(os.Chmod(dir, 0o755)).To(Succeed())
	Expect(os.Chown(dir, uid, uid)).To(Succeed())
	name := s.namespace + "-reports"
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      size,
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			StorageClassName:              name,
			ClaimRef:                      &corev1.ObjectReference{Namespace: s.namespace, Name: reportsClaim},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: dir, Type: ptr.To(corev1.HostPathDirectory)},
			},
		},
	}
	Expect(admin.Create(ctx, volume)).To(Succeed())
	DeferCleanup(func() { Expect(client.IgnoreNotFound(admin.Delete(ctx, volume))).To(Succeed()) })
	Expect(admin.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: reportsClaim},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			StorageClassName: &name,
			VolumeName:       name,
			Resources:        corev1.VolumeResourceRequirements{Requests: size},
		},
	})).To(Succeed())
	return dir
}

func (w wrapper) reportsOn(subPath string) wrapper {
	w.Spec.Reports.Artifacts = v1alpha1.ArtifactsVolume
	w.Spec.Reports.Volume = &v1alpha1.ReportVolume{ClaimName: reportsClaim, SubPath: subPath}
	return w
}

// everythingIn lists what is in a directory, with what stat tells of it but for times of reading.
func everythingIn(dir string) map[string]string {
	GinkgoHelper()
	all := map[string]string{}
	Expect(filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			st := info.Sys().(*syscall.Stat_t)
			all[path] = fmt.Sprintln(info.Mode(), info.Size(), st.Uid, st.Gid, st.Mtim, st.Ctim)
		}
		return err
	})).To(Succeed())
	return all
}

var _ = Describe("Documents on a volume", func() {
	It("are in a folder for each image, as the scan's user, and nothing else is written", func() {
		s := newSite().image(alpine, "projects/chem/a.sif", "base.sif").annotated(v1alpha1.AnnotationRunAsUser, "4242")
		dir := s.reportsVolume(4242)
		before := everythingIn(s.dir)
		scan := s.scan().reportsOn("security/sifscan").create()
		Eventually(get(scan)).Should(beDone())

		Expect(everythingIn(s.dir)).To(Equal(before), "the volume that is scanned")
		for _, image := range []string{"projects/chem/a.sif", "base.sif"} {
			report := reportOf(scan, image)
			folder := "security/sifscan/" + claimName + "/" + image + "@" + report.Name
			var names []string
			for _, a := range report.Report.Artifacts {
				names = append(names, a.Name)
				Expect(a.VolumePath).To(Equal(folder + "/" + a.Name))
				info, err := os.Stat(filepath.Join(dir, a.VolumePath))
				Expect(err).NotTo(HaveOccurred())
				Expect(info.Size()).To(Equal(a.SizeBytes))
				Expect(info.Mode()).To(Equal(os.FileMode(0o640)))
				Expect(info.Sys().(*syscall.Stat_t).Uid).To(BeEquivalentTo(4242))
			}
			Expect(names).To(ContainElements("report.json", "sbom.spdx.json", "inventory.json"))
			text, err := os.ReadFile(filepath.Join(dir, folder, "report.json"))
			Expect(err).NotTo(HaveOccurred())
			there := &v1alpha1.ScanReport{}
			Expect(json.Unmarshal(text, there)).To(Succeed())
			Expect(there.Report.Summary).To(Equal(report.Report.Summary))
		}
		documents := &corev1.ConfigMapList{}
		Expect(admin.List(ctx, documents, client.InNamespace(s.namespace), client.HasLabels{v1alpha1.LabelArtifactOf})).To(Succeed())
		Expect(documents.Items).To(BeEmpty())
		left, err := os.ReadDir(filepath.Join(dir, "security/sifscan/.incoming"))
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(BeEmpty())
	})

	It("go past no link, and are there in the next run once it is gone", func() {
		s := newSite().image(alpine, "a.sif")
		dir, outside := s.reportsVolume(65532), GinkgoT().TempDir()
		Expect(os.Chmod(outside, 0o777)).To(Succeed())
		planted := filepath.Join(dir, claimName)
		Expect(os.Symlink(outside, planted)).To(Succeed())
		scan := s.scan().reportsOn("").create()
		Eventually(get(scan)).Should(And(beDone(), say("documents of 1 image are not kept")))
		report := reportOf(scan, "a.sif")
		Expect(report.Report.Summary.Packages).To(BeNumerically(">", 0))
		Expect(report.Report.Outcome.Message).To(HavePrefix("ArtifactsNotKept: on the volume of spec.reports.volume: enter " + claimName + ": a link or file is there"))
		Expect(os.ReadDir(outside)).To(BeEmpty())

		Expect(os.Remove(planted)).To(Succeed())
		rescan(scan, "again")
		Eventually(get(scan)).Should(And(beDone(), Not(say("not kept"))))
		Expect(filepath.Join(dir, reportOf(scan, "a.sif").Report.Artifacts[0].VolumePath)).To(BeARegularFile())
	})

	It("that may not be written say who needs which right", func() {
		s := newSite().image(alpine, "a.sif")
		s.reportsVolume(0)
		scan := s.scan().reportsOn("sifscan").create()
		Eventually(get(scan)).Should(And(beDone(), say("documents of 1 image are not kept")))
		Expect(reportOf(scan, "a.sif").Report.Outcome.Message).To(HaveSuffix("create sifscan: permission denied; let uid 65532, gid 65532 write there"))
	})
})
