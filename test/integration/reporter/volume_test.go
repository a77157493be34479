// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	agent "github.com/sifscan/sifscan-operator/node-agent/reporter"
)

// on makes a pod that keeps documents on a volume.
func (p *pod) on(v *agent.Volume) *pod {
	p.shelf = v
	return p
}

func newShelf() *agent.Volume {
	return &agent.Volume{Dir: GinkgoT().TempDir(), ClaimUID: "reports-1", SubPath: "sifscan"}
}

// folders on a volume for documents, each with its files.
func folders(v *agent.Volume) map[string][]string {
	GinkgoHelper()
	all := map[string][]string{}
	files, err := filepath.Glob(filepath.Join(v.Dir, v.SubPath, "*", "*", "*"))
	Expect(err).NotTo(HaveOccurred())
	for _, file := range files {
		name, _ := filepath.Rel(filepath.Join(v.Dir, v.SubPath), filepath.Dir(file))
		all[name] = append(all[name], filepath.Base(file))
	}
	return all
}

// onVolume is the report that the volume has of the site's only image.
func onVolume(v *agent.Volume, r v1alpha1.ScanReport) *v1alpha1.ScanReport {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(v.Dir, r.Report.Artifacts[0].VolumePath))
	Expect(err).NotTo(HaveOccurred())
	out := &v1alpha1.ScanReport{}
	Expect(json.Unmarshal(text, out)).To(Succeed())
	return out
}

// deliver hands one image's result to a running reporter, as a scanner would that found these keys.
func (p *pod) deliver(report v1alpha1.Report, keys ...string) {
	GinkgoHelper()
	report.Target = v1alpha1.ReportTarget{Kind: "sif", Path: "/shared/a.sif", SizeBytes: 1}
	report.ObservedAt = metav1.Now()
	for _, key := range keys {
		report.Findings = append(report.Findings, v1alpha1.Finding{
			Key: key, Package: "p", Severity: "high", DetectedBy: "pkg", FirstSeen: report.ObservedAt,
		})
	}
	hand, err := handover.OpenScanner(p.results, p.state)
	Expect(err).NotTo(HaveOccurred())
	defer hand.Close()
	waiting, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err = hand.Known(waiting)
	Expect(err).NotTo(HaveOccurred())
	const folder = "a.sif"
	body, err := json.Marshal(v1alpha1.ScanReport{Report: report})
	Expect(err).NotTo(HaveOccurred())
	Expect(handover.WriteResult(p.results, folder, map[string][]byte{handover.ReportFile: body})).To(Succeed())
	outcome := v1alpha1.EntryScanned
	if report.Outcome.Reason != "" {
		outcome = v1alpha1.EntryFailed
	}
	Expect(hand.Tell(handover.Event{Type: handover.EventListed, Total: 1})).To(Succeed())
	Expect(hand.Tell(handover.Event{Type: handover.EventEntry, Path: "a.sif", Folder: folder, Outcome: outcome, Identity: "1:2:3"})).To(Succeed())
	Expect(hand.WaitFinished(waiting)).To(Succeed())
}

// night is a run that finds these keys, the most severe first.
func (s *site) night(v *agent.Volume, keys ...string) {
	GinkgoHelper()
	s.nightOf(v, v1alpha1.Report{
		Outcome: v1alpha1.Outcome{Coverage: v1alpha1.CoverageComplete},
		Summary: &v1alpha1.Summary{Critical: ptr.To[int32](0), Packages: 3},
	}, keys...)
}

func (s *site) nightOf(v *agent.Volume, report v1alpha1.Report, keys ...string) {
	GinkgoHelper()
	s.run += "1"
	p := s.pod().on(v)
	end := p.start(s.account())
	p.deliver(report, keys...)
	Expect(end()).To(Succeed())
}

// firstSeen of the findings of a report; those before long ago are "old".
func firstSeen(r *v1alpha1.ScanReport) map[string]string {
	out := map[string]string{}
	for _, f := range r.Report.Findings {
		out[f.Key] = "new"
		if f.FirstSeen.Year() < 2010 {
			out[f.Key] = "old"
		}
	}
	return out
}

// age makes what the API knows of the findings old.
func (s *site) age() {
	GinkgoHelper()
	r := s.reports()[0]
	for i := range r.Report.Findings {
		r.Report.Findings[i].FirstSeen = metav1.NewTime(time.Unix(1_000_000_000, 0))
	}
	Expect(admin.Update(ctx, &r)).To(Succeed())
}

func keys(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("CVE-%03d", i))
	}
	return all
}

var _ = Describe("A volume for documents", func() {
	It("has a folder for each image, with every document as it is", func() {
		s, v := newSite().image("a.sif", "b.sif"), newShelf()
		s.pod().on(v).whole(s.account())

		Expect(s.artifacts()).To(BeEmpty())
		want := map[string][]string{}
		for _, r := range s.reports() {
			image := filepath.Base(r.Report.Target.Path)
			folder := "shared/" + image + "@" + r.Name
			want[folder] = []string{"report.json", "sbom.spdx.json"}
			Expect(r.Report.Outcome.Message).To(BeEmpty())
			Expect(r.Report.Artifacts).To(HaveLen(2))
			for _, a := range r.Report.Artifacts {
				Expect(a.ConfigMap).To(BeEmpty())
				Expect(a.VolumePath).To(Equal("sifscan/" + folder + "/" + a.Name))
				text, err := os.ReadFile(filepath.Join(v.Dir, a.VolumePath))
				Expect(err).NotTo(HaveOccurred())
				sum := sha256.Sum256(text)
				Expect(a.SHA256).To(Equal(hex.EncodeToString(sum[:])))
				Expect(a.SizeBytes).To(BeEquivalentTo(len(text)))
				Expect(json.Valid(text)).To(BeTrue())
			}
			there := onVolume(v, r)
			Expect(there.Name).To(Equal(r.Name))
			Expect(r.Annotations[v1alpha1.AnnotationDocument]).To(Equal(r.Report.Artifacts[0].SHA256 + "/20"))
			delete(r.Annotations, v1alpha1.AnnotationDocument) // of the very file
			Expect(there.Annotations).To(Equal(r.Annotations))
			Expect(there.Report.Artifacts).To(Equal(r.Report.Artifacts[1:]))
			Expect(there.Report.Target.SizeBytes).To(Equal(r.Report.Target.SizeBytes))
		}
		Expect(folders(v)).To(Equal(want))
	})

	It("has all findings, and the ScanReport as many as it may", func() {
		s, v := newSite(), newShelf()
		s.night(v, keys(700)...)
		r := s.reports()[0]
		Expect(r.Report.Findings).To(HaveLen(20))
		Expect(r.Report.Truncated).To(BeEquivalentTo(680))
		there := onVolume(v, r)
		Expect(there.Report.Findings).To(HaveLen(700))
		Expect(there.Report.Truncated).To(BeZero())
	})

	It("gets the documents of images that did not change, once they are to be kept there", func() {
		s, v := newSite().image("a.sif"), newShelf()
		s.pod().whole(s.account())
		opened := func(to *agent.Volume) []string {
			s.run += "1"
			return s.pod().on(to).whole(s.account()).opened
		}
		Expect(opened(v)).To(Equal([]string{"a.sif"}), "from ConfigMap to the volume")
		Expect(folders(v)).To(HaveLen(1))
		Expect(s.reports()[0].Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationSuperseded, HavePrefix("sifscan-")), "for the controller to delete")
		Expect(opened(v)).To(BeEmpty(), "it is there")
		other := &agent.Volume{Dir: v.Dir, ClaimUID: v.ClaimUID, SubPath: "other"}
		Expect(opened(other)).To(Equal([]string{"a.sif"}), "to another folder")
		Expect(folders(other)).To(HaveLen(1))
		anew := &agent.Volume{Dir: GinkgoT().TempDir(), ClaimUID: "reports-2", SubPath: "other"}
		Expect(opened(anew)).To(Equal([]string{"a.sif"}), "to a claim made anew")
		Expect(opened(nil)).To(Equal([]string{"a.sif"}), "back to ConfigMaps")
		Expect(s.reports()[0].Report.Artifacts[0].ConfigMap).NotTo(BeEmpty())
	})

	It("that cannot be written to loses no finding, and gets the documents in the next run", func() {
		s, v := newSite().image("a.sif"), newShelf()
		inTheWay := filepath.Join(v.Dir, "sifscan")
		Expect(os.Symlink("/etc", inTheWay)).To(Succeed())
		s.pod().on(v).whole(s.account())
		r := s.reports()[0]
		Expect(r.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationOutcome, v1alpha1.OutcomeScanned))
		Expect(r.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationPackages, "3/3"))
		Expect(r.Report.Artifacts).To(BeEmpty())
		Expect(r.Report.Outcome.Message).To(Equal("ArtifactsNotKept: on the volume of spec.reports.volume: " +
			"enter sifscan: a link or file is there and no directory; remove it"))

		Expect(os.Remove(inTheWay)).To(Succeed())
		s.run = "v1-2"
		Expect(s.pod().on(v).whole(s.account()).opened).To(Equal([]string{"a.sif"}))
		Expect(folders(v)).To(HaveLen(1))
		Expect(s.reports()[0].Report.Outcome.Message).To(BeEmpty())
	})

	It("is not written to again for an image that fails as before", func() {
		s, v := newSite(), newShelf()
		broken := v1alpha1.Report{Outcome: v1alpha1.Outcome{Reason: v1alpha1.ReasonCorruptImage, Message: "cut off"}}
		s.nightOf(v, broken)
		before := s.reports()[0]
		Expect(before.Report.Artifacts).To(HaveLen(1))
		info, err := os.Stat(filepath.Join(v.Dir, before.Report.Artifacts[0].VolumePath))
		Expect(err).NotTo(HaveOccurred())
		s.nightOf(v, broken)
		Expect(s.reports()[0].ResourceVersion).To(Equal(before.ResourceVersion))
		now, err := os.Stat(filepath.Join(v.Dir, before.Report.Artifacts[0].VolumePath))
		Expect(err).NotTo(HaveOccurred())
		Expect(os.SameFile(info, now)).To(BeTrue())
		s.nightOf(&agent.Volume{Dir: GinkgoT().TempDir(), ClaimUID: "reports-2"}, broken)
		Expect(s.reports()[0].ResourceVersion).NotTo(Equal(before.ResourceVersion), "another volume has nothing yet")
	})
})

var _ = It("A ConfigMap that a quota refuses costs no finding, and is there in the next run", func() {
	s := newSite().image("a.sif", "b.sif")
	none := corev1.ResourceList{"count/configmaps": resource.MustParse("0")}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "objects"},
		Spec:       corev1.ResourceQuotaSpec{Hard: none},
	}
	Expect(admin.Create(ctx, quota)).To(Succeed())
	quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none} // the quota controller's part: there is none here
	Expect(admin.Status().Update(ctx, quota)).To(Succeed())
	one := func() error {
		try := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "try"}}
		return admin.Create(ctx, try, client.DryRunAll)
	}
	Eventually(one).Should(MatchError(ContainSubstring("exceeded quota")))

	s.pod().whole(s.account())
	Expect(s.reports()).To(HaveLen(2))
	for _, r := range s.reports() {
		Expect(r.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationOutcome, v1alpha1.OutcomeScanned))
		Expect(r.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationNotKept, "true"))
		Expect(r.Annotations).NotTo(HaveKey(v1alpha1.AnnotationArtifacts))
		Expect(r.Report.Artifacts).To(BeEmpty())
		Expect(r.Report.Outcome.Message).To(And(HavePrefix("ArtifactsNotKept: write ConfigMap sifscan-"+r.Name), ContainSubstring("exceeded quota: objects")))
	}
	Expect(s.inventories()[0].Entries).To(HaveEach(HaveField("Outcome", v1alpha1.EntryScanned)))

	Expect(admin.Delete(ctx, quota)).To(Succeed())
	Eventually(one).Should(Succeed())
	s.run = "v1-2"
	Expect(s.pod().whole(s.account()).opened).To(ConsistOf("a.sif", "b.sif"))
	Expect(s.artifacts()).To(HaveLen(2))
	Expect(s.reports()[0].Annotations).NotTo(HaveKey(v1alpha1.AnnotationNotKept))
})

var _ = Describe("A finding", func() {
	It("is as old as its first report, however often the list is cut", func() {
		s := newSite()
		s.night(nil, "old")
		s.age()
		s.night(nil, append(keys(20), "old")...)
		Expect(firstSeen(&s.reports()[0])).NotTo(HaveKey("old"))
		s.night(nil, "old", "young")
		Expect(firstSeen(&s.reports()[0])).To(Equal(map[string]string{"old": "old", "young": "new"}))
	})

	It("is as old after a night in which the image could not be read", func() {
		s := newSite()
		s.night(nil, "old")
		s.age()
		away := v1alpha1.Report{Outcome: v1alpha1.Outcome{Reason: v1alpha1.ReasonBackendUnreachable, Message: "EIO"}}
		s.nightOf(nil, away)
		s.nightOf(nil, away)
		r := s.reports()[0]
		Expect(r.Report.Findings).To(BeEmpty())
		Expect(r.Annotations).NotTo(HaveKey(v1alpha1.AnnotationCounts))
		s.night(nil, "old")
		Expect(firstSeen(&s.reports()[0])).To(Equal(map[string]string{"old": "old"}))
	})

	It("that was never listed is as old as the volume's report of it", func() {
		s, v := newSite(), newShelf()
		s.night(v, append(keys(20), "deep")...)
		first := onVolume(v, s.reports()[0])
		at := slices.IndexFunc(first.Report.Findings, func(f v1alpha1.Finding) bool { return f.Key == "deep" })
		first.Report.Findings[at].FirstSeen = metav1.NewTime(time.Unix(1_000_000_000, 0))
		text, err := json.Marshal(first)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(filepath.Join(v.Dir, s.reports()[0].Report.Artifacts[0].VolumePath), text, 0o640)).To(Succeed())

		s.night(v, "deep", "young")
		Expect(firstSeen(&s.reports()[0])).To(Equal(map[string]string{"deep": "old", "young": "new"}))
	})
})

var _ = It("A reporter that was started anew in its pod names every report, and blames no image for it", func() {
	s := newSite()
	p := s.pod()
	refusing := interceptor.NewClient(s.account(), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			if r, ok := obj.(*v1alpha1.ScanReport); ok && r.Report.Target.Path == "/shared/refused.sif" {
				r.Name = "Not a name"
			}
			return c.Create(ctx, obj, opts...)
		},
	})
	end := p.start(refusing)
	hand, err := handover.OpenScanner(p.results, p.state)
	Expect(err).NotTo(HaveOccurred())
	defer hand.Close()
	_, err = hand.Known(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(hand.Tell(handover.Event{Type: handover.EventListed, Total: 3})).To(Succeed())
	for _, name := range []string{"good", "refused"} {
		body := fmt.Sprintf(`{"report":{"target":{"path":"/shared/%s.sif","kind":"sif","sizeBytes":1,"uid":0,"gid":0},
			"scanner":{"engine":"native"},"outcome":{},"summary":{"packages":1,"notAssessed":1},"observedAt":"2026-01-01T00:00:00Z"}}`, name)
		Expect(handover.WriteResult(p.results, name, map[string][]byte{handover.ReportFile: []byte(body)})).To(Succeed())
		Expect(hand.Tell(handover.Event{Type: handover.EventEntry, Path: name + ".sif", Folder: name, Outcome: v1alpha1.EntryScanned})).To(Succeed())
	}
	Expect(hand.Tell(handover.Event{Type: handover.EventBegun, Path: "slow.sif"})).To(Succeed())
	_, err = hand.WaitStored(ctx, []string{"good", "refused"}, 0)
	Expect(err).To(MatchError(handover.ErrNotStored))
	Expect(end()).To(Succeed())

	end = p.start(s.account())
	check := func(g Gomega) {
		inventory := s.inventories()[0]
		g.Expect(inventory.Worker.InFlight).To(Equal([]v1alpha1.InFlight{{Path: "slow.sif", Attempts: 1}}))
		g.Expect(inventory.Entries).To(HaveLen(2))
		for _, e := range inventory.Entries {
			if e.Path == "good.sif" {
				g.Expect(e.Outcome).To(Equal(v1alpha1.EntryScanned))
				g.Expect(e.Report).To(Equal(s.reports()[0].Name))
			} else {
				g.Expect(e.Outcome).To(Equal(v1alpha1.EntryFailed))
				g.Expect(e.Report).To(BeEmpty())
			}
		}
	}
	Eventually(check).Should(Succeed())
	Expect(end()).To(Succeed())
	check(Default)
})
