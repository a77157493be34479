// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	agent "github.com/sifscan/sifscan-operator/node-agent/reporter"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/test/opens"
)

// matchedWith makes the pod match with a database that has an advisory on each package.
func (p *pod) matchedWith(packages ...string) *pod {
	GinkgoHelper()
	dir, file := GinkgoT().TempDir(), filepath.Join(GinkgoT().TempDir(), "osv.db")
	for _, name := range packages {
		record := fmt.Sprintf(`{"id":"TEST-%s","modified":"2026-11-20T00:00:00Z","affected":[{"package":{"ecosystem":"Alpine:v3.19","name":%q},
			"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`, name, name)
		Expect(os.WriteFile(filepath.Join(dir, name+".json"), []byte(record), 0o644)).To(Succeed())
	}
	_, err := osvdb.Build(ctx, file, osvdb.Source{From: dir, Now: time.Now()})
	Expect(err).NotTo(HaveOccurred())
	db, err := osvdb.Open(file)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(db.Close)
	p.asked = func(sc *scan.Scanner) {
		sc.Engine, sc.Database = sc.Engine.(*native.Engine).WithDatabase(db), db.Info().Digest
		sc.Formats = []engine.Format{engine.FormatJSON, engine.FormatSPDX}
	}
	return p
}

// calls counts what is asked of the API about ScanReports.
func calls(api client.WithWatch, reads, writes *int) client.Client {
	count := func(obj client.Object, n *int) {
		switch obj.(type) {
		case *v1alpha1.ScanReport, *metav1.PartialObjectMetadata:
			*n++
		}
	}
	return interceptor.NewClient(api, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			count(obj, reads)
			return c.Get(ctx, key, obj, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.UpdateOption) error {
			count(obj, writes)
			return c.Update(ctx, obj, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			count(obj, writes)
			return c.Patch(ctx, obj, patch, opts...)
		},
	})
}

// inodes of folders and files on a volume for documents: what is written anew has another.
func inodes(v *agent.Volume) map[string]uint64 {
	GinkgoHelper()
	all := map[string]uint64{}
	for folder, names := range folders(v) {
		for _, name := range append(names, ".") {
			info, err := os.Stat(filepath.Join(v.Dir, v.SubPath, folder, name))
			Expect(err).NotTo(HaveOccurred())
			all[folder+"/"+name] = info.Sys().(*syscall.Stat_t).Ino
		}
	}
	return all
}

var _ = Describe("A database that is another", func() {
	// night scans with the reporter's rights, and returns how often an image was opened.
	night := func(s *site, v *agent.Volume, reads, writes *int, packages ...string) int {
		GinkgoHelper()
		s.run += "1"
		p := s.pod().matchedWith(packages...)
		if v != nil {
			p.on(v)
		}
		count, err := opens.Watch(s.dir)
		Expect(err).NotTo(HaveOccurred())
		p.whole(calls(s.account(), reads, writes))
		n, err := count.Stop()
		Expect(err).NotTo(HaveOccurred())
		return n
	}
	counts := func(s *site) (all []string) {
		for _, r := range s.reports() {
			all = append(all, r.Annotations[v1alpha1.AnnotationCounts])
		}
		return all
	}

	It("is matched with the package lists on the volume for documents, and no image is opened", func() {
		s, v := newSite().image("a.sif", "b.sif"), newShelf()
		var reads, writes int
		Expect(night(s, v, &reads, &writes, "musl")).NotTo(BeZero())
		Expect(counts(s)).To(Equal([]string{"0/0/0/0/1", "0/0/0/0/1"}))

		reads, writes = 0, 0
		Expect(night(s, v, &reads, &writes, "musl", "busybox")).To(BeZero())
		Expect(counts(s)).To(Equal([]string{"0/0/0/0/2", "0/0/0/0/2"}))
		Expect([]int{reads, writes}).To(Equal([]int{0, 2}), "a write an image")
	})

	It("is noted, and no other document is touched, where nothing else is found", func() {
		s, v := newSite().image("a.sif"), newShelf()
		var reads, writes int
		night(s, v, &reads, &writes, "musl")
		before, files := s.reports()[0], inodes(v)
		itself := filepath.Base(filepath.Dir(before.Report.Artifacts[0].VolumePath)) + "/" + handover.ReportFile

		reads, writes = 0, 0
		Expect(night(s, v, &reads, &writes, "musl", "of-no-image")).To(BeZero())
		Expect([]int{reads, writes}).To(Equal([]int{0, 1}))
		now := inodes(v)
		Expect(now).To(HaveLen(len(files)))
		for name, inode := range files {
			Expect(now[name] == inode).NotTo(Equal(strings.HasSuffix(name, itself)), name)
		}
		after := s.reports()[0]
		there := onVolume(v, after)
		Expect(there.Report.Scanner).To(Equal(after.Report.Scanner))
		Expect(there.Report.ObservedAt).To(Equal(after.Report.ObservedAt))
		Expect(after.Report.Scanner.Database.Digest).NotTo(Equal(before.Report.Scanner.Database.Digest))
		Expect(after.Annotations[v1alpha1.AnnotationIdentity]).NotTo(Equal(before.Annotations[v1alpha1.AnnotationIdentity]))
		Expect(after.Annotations[v1alpha1.AnnotationRun]).To(HaveSuffix(s.run))
		Expect(after.Report.Findings).To(Equal(before.Report.Findings))
		Expect(after.Report.Artifacts[1:]).To(Equal(before.Report.Artifacts[1:]))
		text, err := os.ReadFile(filepath.Join(v.Dir, after.Report.Artifacts[0].VolumePath))
		Expect(err).NotTo(HaveOccurred())
		Expect(after.Report.Artifacts[0].SHA256).To(Equal(fmt.Sprintf("%x", sha256.Sum256(text))))
		Expect(after.Annotations[v1alpha1.AnnotationDocument]).To(Equal(after.Report.Artifacts[0].SHA256 + "/20"))
		delete(after.Annotations, v1alpha1.AnnotationDocument)
		Expect(there.Annotations).To(Equal(after.Annotations))

		reads, writes = 0, 0
		Expect(night(s, v, &reads, &writes, "musl", "of-no-image")).To(BeZero())
		Expect([]int{reads, writes}).To(Equal([]int{0, 0}), "the database is the one that was noted")
		Expect(night(s, v, &reads, &writes, "musl", "busybox")).To(BeZero())
		Expect(counts(s)).To(Equal([]string{"0/0/0/0/2"}), "and the next one is matched again")
	})

	It("is written whole where a document is not what it was, and opens the image in the next run", func() {
		s, v := newSite().image("a.sif"), newShelf()
		var reads, writes int
		night(s, v, &reads, &writes, "musl")
		at := slices.IndexFunc(s.reports()[0].Report.Artifacts, func(a v1alpha1.Artifact) bool { return a.Name == engine.SPDXFile })
		forged := filepath.Join(v.Dir, s.reports()[0].Report.Artifacts[at].VolumePath)
		text, err := os.ReadFile(forged)
		Expect(err).NotTo(HaveOccurred())
		text[0] = ' '
		Expect(os.WriteFile(forged, text, 0o640)).To(Succeed())

		Expect(night(s, v, &reads, &writes, "musl", "of-no-image")).To(BeZero())
		r := s.reports()[0]
		Expect(r.Annotations).To(HaveKey(v1alpha1.AnnotationNotKept))
		Expect(r.Report.Artifacts).NotTo(ContainElement(HaveField("Name", engine.SPDXFile)))
		Expect(night(s, v, &reads, &writes, "musl", "of-no-image")).NotTo(BeZero())
	})

	DescribeTable("takes over what somebody else wrote meanwhile", func(found string, seen ...string) {
		s, v := newSite().image("a.sif"), newShelf()
		var reads, writes int
		night(s, v, &reads, &writes, "musl")
		s.age()
		s.run += "1"
		p := s.pod().on(v).matchedWith("musl", found)
		annotated := false
		api := interceptor.NewClient(s.account(), interceptor.Funcs{
			Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
				if !annotated {
					annotated = true
					r := s.reports()[0]
					r.Annotations["example.org/note"] = "looked at"
					r.Report.Truncated = 7
					Expect(admin.Update(ctx, &r)).To(Succeed())
				}
				return c.Patch(ctx, obj, patch, opts...)
			},
		})
		p.whole(api)
		Expect(annotated).To(BeTrue())
		r := s.reports()[0]
		Expect(r.Annotations).To(HaveKeyWithValue("example.org/note", "looked at"))
		Expect(r.Report.Truncated).To(BeZero(), "the ScanReport says what report.json says")
		Expect(r.Annotations[v1alpha1.AnnotationRun]).To(HaveSuffix(s.run))
		Expect(slices.Collect(maps.Values(firstSeen(&r)))).To(ConsistOf(seen))
		Expect(onVolume(v, r).Report.Findings).To(HaveLen(len(seen)))
	},
		Entry("where nothing else is found", "of-no-image", "old"),
		Entry("where something is", "busybox", "old", "new"),
	)

	It("opens images whose documents are in ConfigMaps, which the reporter's account may not read", func() {
		s := newSite().image("a.sif")
		var reads, writes int
		Expect(night(s, nil, &reads, &writes, "musl")).NotTo(BeZero())
		Expect(night(s, nil, &reads, &writes, "musl", "busybox")).NotTo(BeZero())
		Expect(counts(s)).To(Equal([]string{"0/0/0/0/2"}))
	})
})
