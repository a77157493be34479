// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const scanned = "spec.reports.volume.claimName: use another claim than the one that is scanned"

var _ = DescribeTable("A wrong place for documents is refused by kubectl apply with a message that says what to change",
	func(reports, message string, target ...string) {
		manifest := fmt.Sprintf("apiVersion: sifscan.io/v1alpha1\nkind: SIFScan\nmetadata: {name: wrong, namespace: default}\n"+
			"spec: {target: {%s}, reports: {%s}}\n", append(target, "volume: {claimName: shared}")[0], reports)
		out, err := tryKubectl("apply", "--dry-run=server", "-f", writeFile("wrong.yaml", manifest))
		Expect(err).To(HaveOccurred(), "it was accepted")
		Expect(out).To(ContainSubstring(message))
	},
	Entry("a store that does not exist", `artifacts: S3`, `supported values: "ConfigMap", "Volume", "None"`),
	Entry("no volume", `artifacts: Volume`, "spec.reports.volume: set it (with claimName)"),
	Entry("a volume beside ConfigMaps", `volume: {claimName: reports}`, "spec.reports.artifacts: set it to Volume, or remove spec.reports.volume"),
	Entry("a volume and no store", `artifacts: None, volume: {claimName: reports}`, "spec.reports.artifacts: set it to Volume"),
	Entry("a claim that no claim can be named", `artifacts: Volume, volume: {claimName: Reports}`, "spec.reports.volume.claimName: use the name of a PersistentVolumeClaim"),
	Entry("a folder from the root", `artifacts: Volume, volume: {claimName: reports, subPath: /a}`, "spec.reports.volume.subPath: remove the leading '/'"),
	Entry("a folder out of the volume", `artifacts: Volume, volume: {claimName: reports, subPath: a/../..}`, "spec.reports.volume.subPath: remove '..'"),
	Entry("the claim that is scanned", `artifacts: Volume, volume: {claimName: shared, subPath: reports}`, scanned),
	Entry("the claim of a directory", `artifacts: Volume, volume: {claimName: src}`, scanned, `directory: {claimName: src, kind: rootfs}`),
	Entry("a claim of a list", `artifacts: Volume, volume: {claimName: b}`, scanned,
		`list: {configMap: {name: targets}, volumes: [{claimName: a, mountPath: /a}, {claimName: b, mountPath: /b}]}`),
)

var _ = It("A scan waits for the claim that its documents are kept on", func() {
	namespace := newNamespace()
	Expect(admin.Create(ctx, makeClaim(namespace, "shared"))).To(Succeed())
	scan := makeScan(namespace, "images")
	scan.Spec.Reports.Artifacts = v1alpha1.ArtifactsVolume
	scan.Spec.Reports.Volume = &v1alpha1.ReportVolume{ClaimName: "reports"}
	Expect(admin.Create(ctx, scan)).To(Succeed())
	Eventually(get(scan)).Should(And(beWaiting(v1alpha1.ReasonVolumeNotFound),
		say("PersistentVolumeClaim reports is not in Namespace "+namespace+": create it, or correct spec.reports.volume.claimName")))
	Expect(jobs(namespace)).To(BeEmpty())
	claim := makeClaim(namespace, "reports")
	Expect(admin.Create(ctx, claim)).To(Succeed())
	reporter := theJob(scan).Spec.Template.Spec.InitContainers[0]
	Expect(reporter.Args).To(ContainElement("--reports-claim-uid=" + string(claim.UID)))
	Eventually(get(scan)).Should(beWaiting(v1alpha1.ReasonRunning))
})
