// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

// The API server does not store an update that changes nothing, so resource versions cannot show
// this: it costs a request of every look at every scan, and an Event each.
var _ = Describe("An operator that looks at a SIFScan again", func() {
	look := func(scan *v1alpha1.SIFScan) []string {
		GinkgoHelper()
		told := events.NewFakeRecorder(10)
		dead := &mortal{} // its first write fails
		r := &sifscan.Reconciler{Client: dead.wrap(uncached()), Live: admin, Clock: now, Events: told}
		_, err := r.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(scan)})
		Expect(err).NotTo(HaveOccurred())
		close(told.Events)
		var notes []string
		for note := range told.Events {
			notes = append(notes, note)
		}
		return notes
	}

	It("writes and tells nothing when nothing changed: running, waiting, finished", func() {
		scan, job := startedScan(newNamespace())
		Eventually(get(scan)).Should(beWaiting(v1alpha1.ReasonRunning))
		Expect(look(scan)).To(BeEmpty())

		absent := makeScan(newNamespace(), "images")
		Expect(admin.Create(ctx, absent)).To(Succeed())
		Eventually(get(absent)).Should(beWaiting(v1alpha1.ReasonVolumeNotFound))
		Expect(look(absent)).To(BeEmpty())

		succeed(scan, job)
		Expect(look(scan)).To(BeEmpty())
	})
})
