// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/osvdb"
)

var _ = Describe("A database that is another", func() {
	It("is matched with what is known of an image, which stays closed", func() {
		musl := fmt.Sprintf(`{"id":"TEST-1","modified":%q,"affected":[{"package":{"ecosystem":"Alpine:v3.19","name":"musl"},
			"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`, time.Now().UTC().Format(time.RFC3339))
		records, database := GinkgoT().TempDir(), filepath.Join(GinkgoT().TempDir(), "osv.db")
		Expect(os.WriteFile(filepath.Join(records, "TEST-1.json"), []byte(musl), 0o644)).To(Succeed())
		_, err := osvdb.Build(ctx, database, osvdb.Source{From: records, Now: time.Now()})
		Expect(err).NotTo(HaveOccurred())
		content, err := os.ReadFile(database)
		Expect(err).NotTo(HaveOccurred())

		s := newSite().image(alpine, "a.sif").file(string(content), "osv.db").annotated(v1alpha1.AnnotationRunAsUser, "4242")
		s.reportsVolume(4242)
		scan := s.scan().reportsOn("").create()
		Eventually(get(scan)).Should(beDone())

		opened := watchOpens(s.path("a.sif"))
		change(scan, func(scan *v1alpha1.SIFScan) {
			scan.Spec.Scanner.Native = &v1alpha1.NativeEngine{Database: &v1alpha1.DatabaseSource{ClaimName: claimName, Path: "osv.db"}}
		})
		Eventually(get(scan)).Should(have("Complete=True/Succeeded", "Ready=True/Succeeded"))
		Expect(opened()).To(BeFalse(), "a.sif was opened")
		Expect(outcomesOf(scan)).To(Equal(outcomes{"a.sif": v1alpha1.EntryScanned}))
		report := reportOf(scan, "a.sif")
		Expect(report.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationCounts, "0/0/0/0/1"))
		Expect(report.Report.Image.Format).To(Equal("sif"))
		Expect(report.Report.Scanner.BytesRead).To(BeZero())

		rescan(scan, "the same database")
		Eventually(get(scan)).Should(have("Complete=True/Succeeded", "Ready=True/Succeeded"))
		Expect(outcomesOf(scan)).To(Equal(outcomes{"a.sif": v1alpha1.EntryUnchanged}))
	})
})
