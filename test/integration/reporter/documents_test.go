// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"compress/gzip"
	"errors"
	"io"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/report"
	"github.com/sifscan/sifscan-operator/node-agent/scan"
	"github.com/sifscan/sifscan-operator/test/fixtures"
	"github.com/sifscan/sifscan-operator/test/schemas"
)

var _ = Describe("What a scan says of an image", func() {
	It("is kept as documents that other tools and people read, and secrets are listed without their value", func() {
		s := newSite()
		tree := fixtures.NewTree(filepath.Join(GinkgoT().TempDir(), "tree"))
		fixtures.Alpine(tree)
		squashfs := filepath.Join(GinkgoT().TempDir(), "squashfs")
		tree.File("etc/munge/munge.key", "the key")
		Expect(errors.Join(tree.Done(), fixtures.Squashfs{}.Make(tree.Root, squashfs),
			fixtures.NewSIF("amd64").System(squashfs).Write(filepath.Join(s.dir, "a.sif")))).To(Succeed())
		pod := s.pod()
		pod.asked = func(s *scan.Scanner) {
			s.Types, s.Reports = []engine.ScanType{engine.ScanPackages, engine.ScanSecrets}, []report.Format{report.SARIF, report.Table}
		}
		pod.whole(s.account())

		Expect(s.reports()).To(HaveLen(1))
		r := s.reports()[0]
		Expect(*r.Report.Summary.Secrets).To(BeEquivalentTo(1))
		Expect(r.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationSecrets, "1"))
		Expect(r.Report.Summary.Critical).To(BeNil())
		Expect(r.Report.Findings).To(HaveLen(1))
		f := r.Report.Findings[0]
		Expect([]string{f.Key, f.Path, f.DetectedBy, f.Severity, f.Package}).To(Equal([]string{"secret/munge-key etc/munge/munge.key", "etc/munge/munge.key", "secret", "", ""}))

		kept := map[string]string{}
		cm := &corev1.ConfigMap{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: r.Report.Artifacts[0].ConfigMap}, cm)).To(Succeed())
		for _, a := range r.Report.Artifacts {
			zip, err := gzip.NewReader(strings.NewReader(string(cm.BinaryData[a.Name+".gz"])))
			Expect(err).NotTo(HaveOccurred())
			body, err := io.ReadAll(zip)
			Expect(err).NotTo(HaveOccurred())
			Expect(string(body)).NotTo(ContainSubstring("the key"))
			kept[a.Name+" "+a.MediaType] = string(body)
		}
		Expect(kept).To(HaveLen(3))
		Expect(kept).To(HaveKeyWithValue("report.txt text/plain; charset=utf-8", ContainSubstring("munge-key")))
		Expect(kept).To(HaveKeyWithValue("report.sarif application/sarif+json", ContainSubstring("NotAssessed")))
		Expect(schemas.Compile(GinkgoTB(), "sarif", "sarif-schema-2.1.0.json").Validate(GinkgoTB(), []byte(kept["report.sarif application/sarif+json"]))).To(Succeed())
	})
})
