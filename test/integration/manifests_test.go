// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Wrong manifests, as people write them, and the part of kubectl's answer that says what to change.
var _ = DescribeTable("A wrong manifest is refused by kubectl apply with a message that says what to change",
	func(spec, message string) {
		manifest := "apiVersion: sifscan.io/v1alpha1\nkind: SIFScan\nmetadata: {name: wrong, namespace: default}\nspec: " + spec + "\n"
		out, err := tryKubectl("apply", "--dry-run=server", "-f", writeFile("wrong.yaml", manifest))
		Expect(err).To(HaveOccurred(), "it was accepted")
		Expect(out).To(ContainSubstring(message))
	},
	Entry("nothing to scan", `{target: {}}`, "spec.target: set volume (with claimName)"),
	Entry("a claim that no claim can be named", `{target: {volume: {claimName: "Shared Images"}}}`, "use the name of a PersistentVolumeClaim"),
	Entry("a subPath from the root", volume(`subPath: /images`), "spec.target.volume.subPath: remove the leading '/'"),
	Entry("a subPath out of the volume", volume(`subPath: a/../../b`), "spec.target.volume.subPath: remove '..'"),
	Entry("a relative mountPath", volume(`mountPath: shared/containers`), "spec.target.volume.mountPath: begin it with '/'"),
	Entry("paths out of the volume", volume(`paths: ["a", "../b"]`), "spec.target.volume.paths: remove '..'"),
	Entry("no path at all", volume(`paths: []`), "spec.target.volume.paths"),
	Entry("excludes out of the volume", volume(`exclude: [".."]`), "spec.target.volume.exclude: remove '..'"),
	Entry("a path as file name", volume(`fileNames: ["images/*.sif"]`), "spec.target.volume.fileNames: remove '/'"),
	Entry("an engine that does not exist", scanner(`engine: clair`), `supported values: "native"`),
	Entry("a format that does not exist", scanner(`formats: [json, swid]`), `supported values: "json", "spdx", "cyclonedx"`),
	Entry("no time for an image", scanner(`timeout: 0s`), "spec.scanner.timeout: use a duration of at least 1s"),
	Entry("a time that is none", scanner(`timeout: soon`), "spec.scanner.timeout"),
	Entry("a negative time to live", `{target: {volume: {claimName: shared}}, ttlAfterFinished: -1h}`, "spec.ttlAfterFinished: use a duration that is not negative"),
	Entry("a label of ours", `{target: {volume: {claimName: shared}}, scheduling: {labels: {sifscan.io/scan: x}}}`, "spec.scheduling.labels: remove keys that begin with sifscan.io/"),
	Entry("a device for a scan", `{target: {volume: {claimName: shared}}, resources: {claims: [{name: gpu}]}}`, "spec.resources.claims: remove it"),
	Entry("a field with a typing error", volume(`path: ["a"]`), `unknown field "spec.target.volume.path"`),
)

func volume(fields string) string {
	return fmt.Sprintf("{target: {volume: {claimName: shared, %s}}}", fields)
}

func scanner(fields string) string {
	return fmt.Sprintf("{target: {volume: {claimName: shared}}, scanner: {%s}}", fields)
}

var _ = It("accepts the sample", func() {
	kubectl("create", "namespace", "demo")
	Expect(kubectl("apply", "-f", "../../config/samples/sifscan.yaml")).To(ContainSubstring("sifscan.sifscan.io/demo created"))
	Expect(get(&v1alpha1.SIFScan{ObjectMeta: makeScan("demo", "demo").ObjectMeta})()).To(
		HaveField("Spec.Scanner.Formats", ConsistOf(v1alpha1.FormatJSON, v1alpha1.FormatSPDX, v1alpha1.FormatCycloneDX)))
})
