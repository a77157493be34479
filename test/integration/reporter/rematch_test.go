// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
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
		if _, ok := obj.(*v1alpha1.ScanReport); ok {
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
	})
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
		Expect([]int{reads, writes}).To(Equal([]int{2, 2}), "a read and a write an image")
	})

	It("opens images whose documents are in ConfigMaps, which the reporter's account may not read", func() {
		s := newSite().image("a.sif")
		var reads, writes int
		Expect(night(s, nil, &reads, &writes, "musl")).NotTo(BeZero())
		Expect(night(s, nil, &reads, &writes, "musl", "busybox")).NotTo(BeZero())
		Expect(counts(s)).To(Equal([]string{"0/0/0/0/2"}))
	})
})
