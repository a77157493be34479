// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/plan"
	agent "github.com/sifscan/sifscan-operator/node-agent/reporter"
)

// worker is a pod of one of several workers.
func (s *site) worker(index, workers int32) *pod {
	p := s.pod()
	p.index, p.workers = index, workers
	return p
}

// many puts images on the volume.
func (s *site) many(n int) *site {
	for i := range n {
		s.image(fmt.Sprintf("%02d.sif", i))
	}
	return s
}

// outcomes of the paths of the run, and how many paths have more than one.
func (s *site) outcomes() (outcomes map[string]v1alpha1.EntryOutcome, twice int) {
	GinkgoHelper()
	outcomes = map[string]v1alpha1.EntryOutcome{}
	for _, inventory := range s.inventories() {
		if inventory.Labels[v1alpha1.LabelPlan] != "" {
			continue
		}
		entries, err := inventory.AllEntries()
		Expect(err).NotTo(HaveOccurred())
		for _, e := range entries {
			if _, ok := outcomes[e.Path]; ok {
				twice++
			}
			outcomes[e.Path] = e.Outcome
		}
	}
	return outcomes, twice
}

// head is the object that decides which list the run has.
func (s *site) head() *v1alpha1.ScanInventory {
	GinkgoHelper()
	head := &v1alpha1.ScanInventory{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.worker(0, 2).options().Job + "-plan"}, head)).To(Succeed())
	return head
}

var _ = Describe("Workers that share a run", func() {
	It("scan each image once between them, over a list that is stored once", func() {
		s := newSite().many(9)
		done := make(chan *pod)
		for index := range int32(3) {
			go func() {
				defer GinkgoRecover()
				done <- s.worker(2-index, 3).whole(s.account()) // the others are there before the first
			}()
		}
		var opened []string
		for range 3 {
			p := <-done
			Expect(p.opened).To(HaveLen(3), "equal images are shared equally")
			opened = append(opened, p.opened...)
		}
		Expect(opened).To(HaveLen(9))
		outcomes, twice := s.outcomes()
		Expect(outcomes).To(HaveLen(9))
		Expect(twice).To(BeZero())
		Expect(s.reports()).To(HaveLen(9))
		Expect(s.head().Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationPlanned, "9/1"))
		Expect(s.inventories()).To(HaveLen(4))
		for _, inventory := range s.inventories() {
			Expect(inventory.Labels).To(HaveKeyWithValue(v1alpha1.LabelWorkers, "3"))
		}
	})

	It("go on with the stored list after a death, whatever the volume looks like by then", func() {
		s := newSite().many(4)
		s.worker(0, 2).whole(s.account())
		stored := s.head()

		s.image("00-new.sif")
		next := s.worker(0, 2).whole(s.account())
		Expect(next.opened).To(BeEmpty(), "everything of its share is done")
		s.worker(1, 2).whole(s.account())
		Expect(s.head()).To(Equal(stored))
		outcomes, twice := s.outcomes()
		Expect(outcomes).To(HaveLen(4))
		Expect(outcomes).NotTo(HaveKey("00-new.sif"))
		Expect(twice).To(BeZero())
	})

	It("take the list of the pod that was faster, where a lost node makes two first workers", func() {
		s := newSite().many(2)
		var raced atomic.Bool
		slow := interceptor.NewClient(s.account(), interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
				if obj.GetLabels()[v1alpha1.LabelPlan] != "" && raced.CompareAndSwap(false, true) {
					defer GinkgoRecover()
					s.image("02.sif")
					s.worker(0, 2).whole(s.account())
				}
				return c.Create(ctx, obj, opts...)
			},
		})
		loser := s.worker(0, 2)
		loser.whole(slow)
		Expect(s.head().Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationPlanned, "3/1"))
		s.worker(1, 2).whole(s.account())
		outcomes, _ := s.outcomes()
		Expect(outcomes).To(HaveLen(3), "both follow the list with three images")
	})

	It("survive a reporter that is started anew before the list is stored", func() {
		s := newSite().many(2)
		p := s.worker(0, 2)
		away := interceptor.NewClient(s.account(), interceptor.Funcs{
			Create: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.CreateOption) error {
				return context.DeadlineExceeded
			},
		})
		p.grace = time.Second
		end := p.start(away)
		verdict := make(chan error)
		go func() {
			defer GinkgoRecover()
			_, err := p.scanAll()
			verdict <- err
		}()
		Eventually(filepath.Join(p.results, "plan.jsonl")).Should(BeAnExistingFile())
		_ = end() // it could store nothing
		end = p.start(s.account())
		Expect(<-verdict).To(Succeed())
		Expect(end()).To(Succeed())
		Expect(p.opened).To(HaveLen(1))
	})

	It("say that a stored list is damaged, and scan nothing by halves", func() {
		s := newSite().many(2)
		s.worker(0, 2).whole(s.account())
		head := s.head()
		head.EntriesGz = head.EntriesGz[:len(head.EntriesGz)-9]
		Expect(admin.Update(ctx, head)).To(Succeed())

		p := s.worker(1, 2)
		end := p.start(s.account())
		_, err := p.scanAll()
		Expect(err).To(And(MatchError(handover.ErrPlanRefused), MatchError(ContainSubstring(v1alpha1.AnnotationRescanAt))))
		Expect(end()).To(Succeed())
		Expect(p.opened).To(BeEmpty())
	})

	It("share a list that takes several objects, and none of which one object is gone", func() {
		s := newSite()
		random := rand.New(rand.NewPCG(1, 2))
		list := make([]plan.Item, 20_000)
		for i := range list {
			name := make([]byte, 40)
			for n := range name {
				name[n] = byte(random.Uint32()) | 1 // hardly any of it is text
			}
			list[i] = plan.Item{Kind: plan.Image, Path: string(name), Size: random.Int64()}
		}
		first := s.worker(0, 2)
		end := first.start(s.account())
		hand, err := handover.OpenScanner(first.results, first.state)
		Expect(err).NotTo(HaveOccurred())
		waiting, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		frozen, err := hand.Freeze(waiting, list)
		Expect(err).NotTo(HaveOccurred())
		Expect(cmp.Diff(list, frozen)).To(BeEmpty())
		Expect(errors.Join(hand.Close(), end())).To(Succeed())
		objects := &v1alpha1.ScanInventoryList{}
		Expect(admin.List(ctx, objects, client.InNamespace(s.namespace), client.HasLabels{v1alpha1.LabelPlan})).To(Succeed())
		Expect(len(objects.Items)).To(BeNumerically(">", 1))

		read := func() ([]plan.Item, error) {
			p := s.worker(1, 2)
			end := p.start(s.account())
			hand, err := handover.OpenScanner(p.results, p.state)
			Expect(err).NotTo(HaveOccurred())
			_, err = hand.Known(waiting)
			Expect(err).NotTo(HaveOccurred())
			items, _, err := hand.Plan()
			Expect(errors.Join(hand.Close(), end())).To(Succeed())
			return items, err
		}
		items, err := read()
		Expect(err).NotTo(HaveOccurred())
		Expect(cmp.Diff(list, items)).To(BeEmpty())
		for i := range objects.Items {
			if part := &objects.Items[i]; part.Annotations[v1alpha1.AnnotationPlanned] == "" {
				Expect(admin.Delete(ctx, part)).To(Succeed())
				break
			}
		}
		_, err = read()
		Expect(err).To(And(MatchError(handover.ErrPlanRefused), MatchError(ContainSubstring("is missing"))))
	})

	It("are told when the list does not come from this SIFScan", func() {
		s := newSite().many(1)
		s.worker(0, 2).whole(s.account())
		head := s.head()
		head.OwnerReferences[0].UID = "another"
		Expect(admin.Update(ctx, head)).To(Succeed())
		p := s.worker(1, 2)
		Expect(agent.Run(ctx, s.account(), p.results, p.state, p.options(), logr.Discard())).To(MatchError(ContainSubstring("belongs to another SIFScan")))
	})

	It("keep entries packed once they are many, and know them again", func() {
		s := newSite()
		const n = 300
		for i := range n {
			Expect(os.WriteFile(filepath.Join(s.dir, fmt.Sprintf("a-long-name-%0200d.sif", i)), nil, 0o644)).To(Succeed())
		}
		s.pod().whole(s.account())
		inventory := s.inventories()[0]
		Expect(inventory.Entries).To(BeEmpty())
		outcomes, _ := s.outcomes()
		Expect(outcomes).To(HaveLen(n))
		Expect(s.pod().whole(s.account()).opened).To(BeEmpty())
	})
})
