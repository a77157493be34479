// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
)

var _ = Describe("A scan pod", func() {
	It("leaves a report, its document and an inventory for each image", func() {
		s := newSite().image("a.sif", "b.sif")
		s.pod().whole(s.account())

		Expect(s.reports()).To(HaveLen(2))
		for _, r := range s.reports() {
			Expect(r.OwnerReferences).To(HaveLen(1))
			Expect(r.OwnerReferences[0].UID).To(Equal(s.claim.UID))
			Expect(r.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationPackages, "3/3"))
			Expect(r.Annotations).NotTo(HaveKey(v1alpha1.AnnotationCounts))
			Expect(r.Report.Artifacts).To(HaveLen(1))

			cm := &corev1.ConfigMap{}
			Expect(admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: r.Report.Artifacts[0].ConfigMap}, cm)).To(Succeed())
			Expect(cm.OwnerReferences[0].UID).To(Equal(r.UID))
			zip, err := gzip.NewReader(strings.NewReader(string(cm.BinaryData["sbom.spdx.json.gz"])))
			Expect(err).NotTo(HaveOccurred())
			body, err := io.ReadAll(zip)
			Expect(err).NotTo(HaveOccurred())
			Expect(string(body)).To(ContainSubstring(`"SPDX-2.3"`))
			Expect(int64(len(body))).To(Equal(r.Report.Artifacts[0].SizeBytes))
		}
		Expect(s.inventories()).To(HaveLen(1))
		w := s.inventories()[0].Worker
		Expect(*w.Total).To(BeEquivalentTo(2))
		Expect(w.Done).To(BeEquivalentTo(2))
		Expect(w.InFlight).To(BeEmpty())
	})

	It("writes nothing about an image that did not change, and does not open it", func() {
		s := newSite().image("a.sif")
		s.pod().whole(s.account())
		before := s.reports()[0].ResourceVersion

		s.run = "v1-2"
		Expect(s.pod().whole(s.account()).opened).To(BeEmpty())
		Expect(s.reports()[0].ResourceVersion).To(Equal(before))
		Expect(s.artifacts()).To(HaveLen(1))
		for _, inv := range s.inventories() {
			if inv.Labels[v1alpha1.LabelRun] == s.run {
				Expect(inv.Entries[0].Outcome).To(Equal(v1alpha1.EntryUnchanged))
				Expect(inv.Entries[0].Report).To(Equal(s.reports()[0].Name))
			}
		}
	})

	It("does not open it for another SIFScan of the same spec either, whose run has the same id", func() {
		s := newSite().image("a.sif")
		s.pod().whole(s.account())
		other := &v1alpha1.SIFScan{Spec: s.scan.Spec}
		other.Namespace, other.Name = s.namespace, "tomorrow"
		Expect(admin.Create(ctx, other)).To(Succeed())
		s.scan = other
		Expect(s.pod().whole(s.account()).opened).To(BeEmpty())
	})

	It("opens no image again that an earlier pod of the run finished", func() {
		s := newSite().image("a.sif")
		s.pod().whole(s.account())
		s.image("b.sif")
		Expect(s.pod().whole(s.account()).opened).To(Equal([]string{"b.sif"}))
		Expect(s.reports()).To(HaveLen(2))
		Expect(s.inventories()).To(HaveLen(1))
		Expect(s.inventories()[0].Entries).To(HaveLen(2))
	})

	It("names what a report replaces, so that the controller can remove it", func() {
		s := newSite().image("a.sif")
		s.pod().whole(s.account())
		first := s.artifacts()
		s.run = "v1-2"
		s.image("a.sif") // written anew: another time of change, so another document
		s.pod().whole(s.account())
		Expect(s.artifacts()).To(HaveLen(2))
		Expect(s.reports()[0].Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationSuperseded, first[0]))
	})

	It("loses nothing while the API server answers no write", func() {
		s := newSite().image("a.sif", "b.sif", "c.sif")
		var refusals atomic.Int32
		away := func() error {
			if refusals.Add(1) <= 4 {
				return errors.New("connection refused")
			}
			return nil
		}
		api := interceptor.NewClient(s.account(), interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
				if err := away(); err != nil {
					return err
				}
				return c.Create(ctx, obj, opts...)
			},
		})
		s.pod().whole(api)
		Expect(refusals.Load()).To(BeNumerically(">", 4))
		Expect(s.reports()).To(HaveLen(3))
		Expect(s.artifacts()).To(HaveLen(3))
		Expect(s.inventories()[0].Entries).To(HaveLen(3))
	})

	It("writes each object once although the answer to its creation was lost", func() {
		s := newSite().image("a.sif")
		lost := map[string]bool{}
		api := interceptor.NewClient(s.account(), interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
				err := c.Create(ctx, obj, opts...)
				if kind := fmt.Sprintf("%T", obj); err == nil && !lost[kind] {
					lost[kind] = true
					return errors.New("connection reset by peer")
				}
				return err
			},
		})
		s.pod().whole(api)
		Expect(lost).To(HaveLen(3), "report, document and inventory")
		Expect(s.reports()).To(HaveLen(1))
		Expect(s.artifacts()).To(HaveLen(1))
		Expect(s.inventories()).To(HaveLen(1))
	})

	It("that died between a report and its document leaves the image to the next pod", func() {
		s := newSite().image("a.sif")
		died := make(chan struct{})
		api := interceptor.NewClient(s.account(), interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
				if _, ok := obj.(*corev1.ConfigMap); ok {
					close(died)
					<-ctx.Done() // the pod is gone in the middle of the call
					return ctx.Err()
				}
				return c.Create(ctx, obj, opts...)
			},
		})
		first := s.pod()
		first.grace, first.patience = time.Millisecond, time.Second
		end := first.start(api)
		scanned := make(chan error, 1)
		go func() {
			defer GinkgoRecover()
			_, err := first.scanAll()
			scanned <- err
		}()
		Eventually(died).Should(BeClosed())
		Expect(end()).NotTo(Succeed())
		Eventually(scanned).Should(Receive(HaveOccurred()))
		Expect(s.reports()).To(HaveLen(1))
		Expect(s.artifacts()).To(BeEmpty())

		Expect(s.pod().whole(s.account()).opened).To(Equal([]string{"a.sif"}))
		Expect(s.artifacts()).To(HaveLen(1))
	})

	It("reports what the scanner left when it was killed, and blames the image in hand", func() {
		s := newSite().image("a.sif")
		p := s.pod()
		end := p.start(s.account())
		hand, err := handover.OpenScanner(p.results, p.state)
		Expect(err).NotTo(HaveOccurred())
		defer hand.Close()
		_, err = hand.Known(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(hand.Tell(handover.Event{Type: handover.EventListed, Total: 2})).To(Succeed())
		Expect(hand.Tell(handover.Event{Type: handover.EventEntry, Path: "done.sif", Outcome: v1alpha1.EntryUnchanged, Report: "sr-x"})).To(Succeed())
		Expect(hand.Tell(handover.Event{Type: handover.EventBegun, Path: "big.sif"})).To(Succeed())
		Expect(end()).To(Succeed())

		w := s.inventories()[0].Worker
		Expect(w.Done).To(BeEquivalentTo(1))
		Expect(w.InFlight).To(Equal([]v1alpha1.InFlight{{Path: "big.sif", Attempts: 1}}))
		Expect(s.inventories()[0].Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationInHand, "uid-of-pod/"+v1alpha1.InHandLost))
	})

	It("says on an image's report that its result cannot be stored, and where there can be none, on the inventory", func() {
		s := newSite().image("a.sif", "b.sif")
		s.pod().whole(s.account())
		before := s.reports()
		Expect(before).To(HaveEach(HaveField("Report.Outcome.Reason", BeEmpty())))
		// Too large with its packages, whatever that is: of a.sif, and of c.sif, which has no report and is allowed none.
		full := interceptor.NewClient(s.account(), interceptor.Funcs{
			Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
				text, err := patch.Data(obj)
				Expect(err).NotTo(HaveOccurred())
				if strings.Contains(string(text), `"path":"/shared/a.sif"`) && strings.Contains(string(text), `"summary":{`) {
					return apierrors.NewRequestEntityTooLargeError("limit is 16384")
				}
				return c.Patch(ctx, obj, patch, opts...)
			},
			Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
				if _, ok := obj.(*v1alpha1.ScanReport); ok {
					return apierrors.NewForbidden(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "scanreports"}, obj.GetName(),
						errors.New("exceeded quota: objects, requested: count/scanreports.sifscan.io=1, used: 2, limited: 2"))
				}
				return c.Create(ctx, obj, opts...)
			},
		})
		s.run = "v1-2"
		s.image("a.sif", "b.sif", "c.sif") // written anew
		s.pod().whole(full)

		reasons := map[string]string{}
		for _, r := range s.reports() {
			reasons[r.Report.Target.Path] = r.Report.Outcome.Reason
			if r.Report.Outcome.Reason != "" {
				Expect(r.Report.Outcome.Message).To(ContainSubstring("limit is 16384"))
				Expect(r.Report.Summary).To(BeNil())
				Expect(r.Annotations).NotTo(HaveKey(v1alpha1.AnnotationIdentity))
			}
		}
		Expect(reasons).To(Equal(map[string]string{"/shared/a.sif": v1alpha1.ReasonReportUnavailable, "/shared/b.sif": ""}))
		inventories := slices.DeleteFunc(s.inventories(), func(i v1alpha1.ScanInventory) bool { return i.Labels[v1alpha1.LabelRun] != s.run })
		Expect(inventories).To(HaveLen(1))
		Expect(inventories[0].Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationNotStored, And(HavePrefix("c.sif: "), ContainSubstring("exceeded quota"))))
		for _, e := range inventories[0].Entries {
			Expect(e.Report == "").To(Equal(e.Path == "c.sif"), e.Path)
			Expect(e.Outcome == v1alpha1.EntryFailed).To(Equal(e.Path != "b.sif"), e.Path)
		}
	})

	It("believes nothing that a compromised scanner writes", func() {
		s := newSite()
		p := s.pod()
		end := p.start(s.account())
		hand, err := handover.OpenScanner(p.results, p.state)
		Expect(err).NotTo(HaveOccurred())
		defer hand.Close()
		_, err = hand.Known(ctx)
		Expect(err).NotTo(HaveOccurred())
		report := func(text string) func(string) error {
			return func(name string) error {
				return handover.WriteResult(p.results, name, map[string][]byte{handover.ReportFile: []byte(text)})
			}
		}
		file := func(text string) func(string) error {
			return func(name string) error { return os.WriteFile(filepath.Join(p.results, name), []byte(text), 0o644) }
		}
		results := map[string]func(name string) error{
			"link":   func(name string) error { return os.Symlink("/etc/passwd", filepath.Join(p.results, name)) },
			"folder": func(name string) error { return os.Mkdir(filepath.Join(p.results, name), 0o755) },
			"beyond": file(`[{"name":"report.json","size":2}]` + "\n{"),
			"listed": file(`{"name":"report.json"}` + "\n{}"),
			"huge":   report(string(make([]byte, 2<<20))),
			"text":   report("{"),
			"types":  report(`{"report":[]}`),
			"none":   func(name string) error { return handover.WriteResult(p.results, name, nil) },
			"good": report(`{"metadata":{"name":"sr-of-another","namespace":"kube-system"},
				"report":{"target":{"path":"/x","kind":"sif","sizeBytes":1,"uid":0,"gid":0},"scanner":{"engine":"other"},"outcome":{},"observedAt":"2026-01-01T00:00:00Z"}}`),
		}
		for name, write := range results {
			Expect(write(name)).To(Succeed())
			Expect(hand.Tell(handover.Event{Type: handover.EventEntry, Path: name + ".sif", Folder: name, Outcome: v1alpha1.EntryScanned})).To(Succeed())
		}
		Expect(hand.Tell(handover.Event{Type: handover.EventEntry, Path: "out.sif", Folder: "../state", Outcome: v1alpha1.EntryScanned})).To(Succeed())
		Expect(hand.WaitFinished(ctx)).To(Succeed())
		Expect(end()).To(Succeed())

		Expect(s.reports()).To(HaveLen(1))
		r := s.reports()[0]
		Expect(r.Name).NotTo(Equal("sr-of-another"))
		Expect(r.Report.Scanner.Engine).To(Equal("native"))
		Expect(s.artifacts()).To(BeEmpty())
		outcomes := map[string]v1alpha1.EntryOutcome{}
		for _, e := range s.inventories()[0].Entries {
			outcomes[e.Path] = e.Outcome
		}
		Expect(outcomes).To(Equal(map[string]v1alpha1.EntryOutcome{
			"link.sif": "failed", "folder.sif": "failed", "beyond.sif": "failed", "listed.sif": "failed", "huge.sif": "failed", "text.sif": "failed", "types.sif": "failed", "none.sif": "failed", "out.sif": "failed",
			"good.sif": "scanned",
		}))
	})
})
