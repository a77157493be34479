// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/node-agent/process"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
)

// node hands out the images of a site as those of containers.
type node struct{ images map[string]string }

func (n node) List(context.Context) (*opener.Listing, error) { return nil, errors.ErrUnsupported }
func (n node) Close() error                                  { return nil }
func (n node) Take(_ context.Context, id string, _ opener.What) (*os.File, error) {
	return os.Open(n.images[id])
}

// runs is what a node has alive: so many ranks of the site's image on a network file system.
func (s *site) runs(name string, ranks int, job string) *scan.Live {
	GinkgoHelper()
	path := filepath.Join(s.dir, name)
	var st unix.Stat_t
	Expect(unix.Stat(path, &st)).To(Succeed())
	n := node{images: map[string]string{}}
	live := &scan.Live{Opener: n, Node: "n1"}
	for i := range ranks {
		c := opener.Container{Image: opener.Image{
			Path: "/shared/" + name, FileSystem: "nfs4", Source: "srv:/shared", Device: "0:44", Within: "/" + name,
			Known: true, Inode: st.Ino, Size: st.Size, ModTime: st.Mtim.Nano(), ChangeTime: st.Ctim.Nano(),
		}}
		c.ID, c.User, c.Leader.PID, c.Source = fmt.Sprint(name, i), 4242, 100+i, process.FromImage
		c.Started = time.Unix(1e9, 0)
		c.Slurm = process.Slurm{Job: job, Step: "0", Task: fmt.Sprint(i), Source: process.FromCgroup}
		c.PodUID = "8d1c0f5e-0123-4567-89ab-0123456789ab"
		n.images[c.ID] = path
		live.Containers = append(live.Containers, c)
	}
	return live
}

// scanLive runs a pod of a node scan to its end: reporter and scanner.
func (p *pod) scanLive(live *scan.Live) scan.Verdict {
	GinkgoHelper()
	sigterm := p.start(p.site.account())
	hand, err := handover.OpenScanner(p.results, p.state)
	Expect(err).NotTo(HaveOccurred())
	defer hand.Close()
	waiting, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	known, err := hand.Known(waiting)
	Expect(err).NotTo(HaveOccurred())
	e, err := native.New()
	Expect(err).NotTo(HaveOccurred())
	scanner := &scan.Scanner{Engine: e, EngineVersion: native.Version, Now: time.Now, Log: logr.Discard()}
	verdict, err := scanner.Run(ctx, scan.Wanted{Live: live}, known,
		&scan.HandoverSink{Hand: hand, Dir: p.results, StoreTimeout: p.patience, Log: logr.Discard()})
	Expect(err).NotTo(HaveOccurred())
	Expect(sigterm()).To(Succeed())
	return verdict
}

var _ = Describe("A scan pod of a node", func() {
	It("lists what is alive, and gives it the report of its image once that was read", func() {
		s := newSite().image("a.sif")
		listing := s.runs("a.sif", 128, "4711")
		listing.ListOnly = true
		Expect(s.pod().scanLive(listing).Total()).To(BeZero())

		Expect(s.reports()).To(BeEmpty())
		Expect(s.inventories()).To(HaveLen(1))
		listed := s.inventories()[0]
		Expect(*listed.Worker.Total).To(BeZero())
		Expect(listed.Worker.Node).To(Equal("n1"))
		Expect(listed.Containers).To(HaveLen(1))
		c := listed.Containers[0]
		Expect(c.Ranks).To(BeEquivalentTo(128))
		Expect(c.PIDs).To(HaveLen(v1alpha1.MaxInventoryPIDs))
		Expect(c.Slurm).To(Equal(&v1alpha1.InventorySlurm{Job: "4711", Step: "0", Source: v1alpha1.SlurmFromCgroup}))
		Expect(c.Pod.UID).To(Equal("8d1c0f5e-0123-4567-89ab-0123456789ab"))
		Expect(c.Report).To(BeEmpty())

		Expect(s.pod().scanLive(s.runs("a.sif", 128, "4711")).Counts[v1alpha1.EntryScanned]).To(Equal(1))
		Expect(s.reports()).To(HaveLen(1))
		report := s.reports()[0]
		Expect(report.Report.Target.Node).To(Equal("n1"))
		Expect(report.Report.Target.Path).To(Equal("/shared/a.sif"))
		Expect(report.Report.RunningExamples).To(HaveLen(1))
		Expect(report.Report.RunningExamples[0].SlurmJob).To(Equal("4711"))
		Expect(report.OwnerReferences).To(HaveLen(1))
		Expect(report.OwnerReferences[0].UID).To(Equal(s.scan.UID))
		Expect(s.inventories()).To(HaveLen(1))
		scanned := s.inventories()[0]
		Expect(scanned.Containers).To(HaveLen(1))
		Expect(scanned.Containers[0].Report).To(Equal(report.Name))
		Expect(scanned.Containers[0].Coverage).To(Equal(v1alpha1.CoverageComplete))
		Expect(scanned.Entries).To(HaveLen(1))
		Expect(scanned.Entries[0].Report).To(Equal(report.Name))
	})

	It("writes one report for a file that two nodes see at two places, and none again while it does not change", func() {
		s := newSite().image("a.sif")
		s.pod().scanLive(s.runs("a.sif", 1, "1"))
		before := s.reports()[0]

		s.run = "v1-2"
		elsewhere := s.runs("a.sif", 1, "2")
		elsewhere.Node = "n2"
		elsewhere.Containers[0].Image.Path, elsewhere.Containers[0].Image.Device = "/mnt/renamed.sif", "0:99"
		Expect(s.pod().scanLive(elsewhere).Counts[v1alpha1.EntryUnchanged]).To(Equal(1))
		Expect(s.reports()).To(HaveLen(1))
		Expect(s.reports()[0].ResourceVersion).To(Equal(before.ResourceVersion))

		Expect(os.Chtimes(filepath.Join(s.dir, "a.sif"), time.Now(), time.Now())).To(Succeed())
		s.run = "v1-3"
		Expect(s.pod().scanLive(s.runs("a.sif", 1, "3")).Counts[v1alpha1.EntryScanned]).To(Equal(1))
		Expect(s.reports()).To(HaveLen(1))
		Expect(s.reports()[0].UID).To(Equal(before.UID))
	})

	It("shares a report with the SIFScan that wrote it", func() {
		s := newSite().image("a.sif")
		s.pod().scanLive(s.runs("a.sif", 1, "1"))
		first := s.scan.UID
		s.scan = s.scan.DeepCopy()
		s.scan.ObjectMeta.Name, s.scan.ObjectMeta.ResourceVersion, s.scan.ObjectMeta.UID = "second", "", ""
		Expect(admin.Create(ctx, s.scan)).To(Succeed())

		s.pod().scanLive(s.runs("a.sif", 1, "2"))
		Expect(s.reports()).To(HaveLen(1))
		var owners []types.UID
		for _, owner := range s.reports()[0].OwnerReferences {
			owners = append(owners, owner.UID)
		}
		Expect(owners).To(ConsistOf(first, s.scan.UID))
	})
})
