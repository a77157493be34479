// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	agent "github.com/sifscan/sifscan-operator/node-agent/reporter"
)

// tells plays a scanner that hands over results of these events, and nothing else.
func (p *pod) tells(events ...handover.Event) {
	GinkgoHelper()
	end := p.start(p.site.account())
	hand, err := handover.OpenScanner(p.results, p.state)
	Expect(err).NotTo(HaveOccurred())
	defer hand.Close()
	Expect(hand.Tell(handover.Event{Type: handover.EventListed, Total: int32(len(events))})).To(Succeed())
	const body = `{"report":{"target":{"kind":"oci","path":"shown"},"scanner":{"engine":"other"},"outcome":{},"observedAt":"2026-03-01T00:00:00Z"}}`
	for _, e := range events {
		if e.Folder != "" {
			Expect(handover.WriteResult(p.results, e.Folder, map[string][]byte{handover.ReportFile: []byte(body)})).To(Succeed())
		}
		e.Type = handover.EventEntry
		Expect(hand.Tell(e)).To(Succeed())
	}
	Expect(hand.Tell(handover.Event{Type: handover.EventFinished})).To(Succeed())
	Expect(end()).To(Succeed())
}

var _ = Describe("Reports of targets on several volumes and on none", func() {
	It("belong to the claim that the event names, and to the SIFScan where it names none", func() {
		s := newSite()
		second := s.claim.DeepCopy()
		second.ObjectMeta = metav1.ObjectMeta{Namespace: s.namespace, Name: "second"}
		Expect(admin.Create(ctx, second)).To(Succeed())
		p := s.pod()
		p.more = []agent.Claim{{Name: second.Name, UID: string(second.UID)}}
		p.tells(
			handover.Event{Path: "/a/x.sif", File: "x.sif", Folder: "one", Outcome: v1alpha1.EntryScanned},
			handover.Event{Path: "/b/x.sif", File: "x.sif", Volume: 1, Folder: "two", Outcome: v1alpha1.EntryScanned},
			handover.Event{Path: "registry.example/app", Volume: handover.NoVolume, Folder: "three", Outcome: v1alpha1.EntryScanned, Identity: "sha256:1"},
			handover.Event{Path: "/c/x.sif", Volume: 2, Folder: "four", Outcome: v1alpha1.EntryScanned},
		)
		entries := map[string]v1alpha1.InventoryEntry{}
		for _, e := range s.inventories()[0].Entries {
			entries[e.Path] = e
		}
		Expect(entries["/c/x.sif"].Outcome).To(Equal(v1alpha1.EntryFailed), "there is no third volume")
		for path, want := range map[string]struct{ kind, owner, claim string }{
			"/a/x.sif": {"PersistentVolumeClaim", "shared", "shared"}, "/b/x.sif": {"PersistentVolumeClaim", "second", "second"},
			"registry.example/app": {"SIFScan", "images", ""},
		} {
			report := &v1alpha1.ScanReport{}
			Expect(admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: entries[path].Report}, report)).To(Succeed(), path)
			Expect(report.OwnerReferences).To(HaveExactElements(And(HaveField("Kind", want.kind), HaveField("Name", want.owner))), path)
			Expect(report.Labels[v1alpha1.LabelClaim]).To(Equal(want.claim), path)
			Expect(report.Report.Target.ClaimName).To(Equal(want.claim), path)
		}
	})

	It("are shared with a second SIFScan that found the image unchanged", func() {
		s := newSite()
		s.pod().tells(handover.Event{Path: "registry.example/app", Volume: handover.NoVolume, Folder: "one", Outcome: v1alpha1.EntryScanned, Identity: "sha256:1"})
		name := s.reports()[0].Name
		first := s.scan.UID
		other := s.scan.DeepCopy()
		other.ObjectMeta = metav1.ObjectMeta{Namespace: s.namespace, Name: "other"}
		Expect(admin.Create(ctx, other)).To(Succeed())
		s.scan = other
		s.pod().tells(handover.Event{Path: "registry.example/app", Volume: handover.NoVolume, Report: name, Outcome: v1alpha1.EntryUnchanged})
		Expect(s.reports()).To(HaveExactElements(HaveField("OwnerReferences", ConsistOf(HaveField("UID", first), HaveField("UID", other.UID)))))
	})
})
