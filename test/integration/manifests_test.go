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
	Entry("nothing to scan", `{target: {}}`, "spec.target: set exactly one of volume, list, running, directory and image"),
	Entry("two things to scan", target(`volume: {claimName: a}, image: {reference: b}`), "spec.target: set exactly one of volume, list, running, directory and image"),
	Entry("a list without a ConfigMap", target(`list: {volumes: []}`), "spec.target.list.configMap"),
	Entry("a list in a ConfigMap that no ConfigMap can be named", target(`list: {configMap: {name: "My Targets"}}`), "spec.target.list.configMap.name: use the name of a ConfigMap"),
	Entry("a key that leads elsewhere", target(`list: {configMap: {name: targets, key: ".."}}`), "spec.target.list.configMap.key: use a key of the ConfigMap"),
	Entry("a list's volume that users do not see", target(`list: {configMap: {name: targets}, volumes: [{claimName: a}]}`), "spec.target.list.volumes[0].mountPath"),
	Entry("a list's volume at a relative path", target(`list: {configMap: {name: targets}, volumes: [{claimName: a, mountPath: shared}]}`), "spec.target.list.volumes.mountPath: begin it with '/'"),
	Entry("two volumes of a list in one place", target(`list: {configMap: {name: targets}, volumes: [{claimName: a, mountPath: /s}, {claimName: b, mountPath: /s}]}`), "Duplicate value"),
	Entry("a directory out of the volume", target(`directory: {claimName: a, path: /x/../../y}`), "spec.target.directory.path: remove '..'"),
	Entry("a directory that is neither", target(`directory: {claimName: a, kind: folder}`), `supported values: "rootfs", "repo"`),
	Entry("a reference with its transport", target(`image: {reference: "docker://nginx"}`), "spec.target.image.reference: remove what is before and with '://'"),
	Entry("a reference that is a flag", target(`image: {reference: "--engine=x"}`), "spec.target.image.reference: use a reference without spaces"),
	Entry("a reference with a space", target(`image: {reference: "a b"}`), "spec.target.image.reference: use a reference without spaces"),
	Entry("documents on a claim of the list", `{target: {list: {configMap: {name: t}, volumes: [{claimName: a, mountPath: /a}, {claimName: b, mountPath: /b}]}}, reports: {artifacts: Volume, volume: {claimName: b}}}`, "use another claim than the one that is scanned"),
	Entry("documents on the claim of the directory", `{target: {directory: {claimName: a}}, reports: {artifacts: Volume, volume: {claimName: a}}}`, "use another claim than the one that is scanned"),
	Entry("a pull secret that no Secret can be named", target(`image: {reference: nginx, pullSecretName: "A/b"}`), "spec.target.image.pullSecretName: use the name of a Secret"),
	Entry("a claim that no claim can be named", `{target: {volume: {claimName: "Shared Images"}}}`, "use the name of a PersistentVolumeClaim"),
	Entry("a subPath from the root", volume(`subPath: /images`), "spec.target.volume.subPath: remove the leading '/'"),
	Entry("a subPath out of the volume", volume(`subPath: a/../../b`), "spec.target.volume.subPath: remove '..'"),
	Entry("a relative mountPath", volume(`mountPath: shared/containers`), "spec.target.volume.mountPath: begin it with '/'"),
	Entry("paths out of the volume", volume(`paths: ["a", "../b"]`), "spec.target.volume.paths: remove '..'"),
	Entry("no path at all", volume(`paths: []`), "spec.target.volume.paths"),
	Entry("excludes out of the volume", volume(`exclude: [".."]`), "spec.target.volume.exclude: remove '..'"),
	Entry("a path as file name", volume(`fileNames: ["images/*.sif"]`), "spec.target.volume.fileNames: remove '/'"),
	Entry("an engine that does not exist", scanner(`engine: clair`), `supported values: "native", "qscanner", "trivy"`),
	Entry("a block of another engine", scanner(`qscanner: {platform: US2, credentialsSecretName: qualys}`), "spec.scanner.qscanner: remove it, or set spec.scanner.engine to qscanner"),
	Entry("native's block for trivy", scanner(`engine: trivy, native: {}`), "spec.scanner.native: remove it, or set spec.scanner.engine to native"),
	Entry("trivy's block for native", scanner(`trivy: {}`), "spec.scanner.trivy: remove it, or set spec.scanner.engine to trivy"),
	Entry("qscanner without anything", scanner(`engine: qscanner`), "spec.scanner.qscanner: set platform and credentialsSecretName"),
	Entry("qscanner without a token", scanner(`engine: qscanner, qscanner: {platform: US2}`), "spec.scanner.qscanner.credentialsSecretName: name a Secret with the key QUALYS_ACCESS_TOKEN"),
	Entry("a platform that is a URL", scanner(`engine: qscanner, qscanner: {platform: "https://evil", credentialsSecretName: qualys}`), "spec.scanner.qscanner.platform: use the name of a Qualys platform"),
	Entry("a Secret that no Secret can be named", scanner(`engine: qscanner, qscanner: {platform: US2, credentialsSecretName: "../other"}`), "spec.scanner.qscanner.credentialsSecretName: use the name of a Secret"),
	Entry("a mode that does not exist", scanner(`engine: qscanner, qscanner: {mode: report}`), `supported values: "get-report", "scan-only", "inventory-only", "evaluate-policy"`),
	Entry("policy tags that nobody asks for", scanner(`engine: qscanner, qscanner: {platform: US2, credentialsSecretName: qualys, policyTags: [hpc]}`), "spec.scanner.qscanner.policyTags: remove them, or set mode: evaluate-policy"),
	Entry("two tags in one", scanner(`engine: qscanner, qscanner: {platform: US2, credentialsSecretName: qualys, mode: evaluate-policy, policyTags: ["a,b"]}`), "spec.scanner.qscanner.policyTags[0]"),
	Entry("native that is online", scanner(`offline: false`), "spec.scanner.offline: remove it or set it to true"),
	Entry("trivy that looks for what it has not", scanner(`engine: trivy, scanTypes: [fileinsight]`), "spec.scanner.scanTypes: add pkg or secret"),
	Entry("a scan type that does not exist", scanner(`scanTypes: [malware]`), `supported values: "pkg", "fileinsight", "secret"`),
	Entry("no scan type", scanner(`scanTypes: []`), "spec.scanner.scanTypes"),
	Entry("an excluded directory out of the image", scanner(`excludeDirs: ["/a/../.."]`), "spec.scanner.excludeDirs: remove '..'"),
	Entry("everything excluded", scanner(`excludeDirs: ["//"]`), "spec.scanner.excludeDirs: remove '/'"),
	Entry("two directories in one", scanner(`excludeDirs: ["/a,/b"]`), "spec.scanner.excludeDirs[0]"),
	Entry("trivy's database from the root", scanner(`engine: trivy, trivy: {database: {claimName: trivy, path: /cache}}`), "spec.scanner.trivy.database.path: write the path of a directory relative"),
	Entry("a tmp of nothing", tmp(`sizeLimit: 1Mi`), "spec.tmp.sizeLimit: use a size of at least 16Mi"),
	Entry("a tmp of a number", tmp(`sizeLimit: 10`), "spec.tmp.sizeLimit: use a size of at least 16Mi"),
	Entry("a tmp in two places", tmp(`medium: Memory, volumeClaimTemplate: {spec: {resources: {requests: {storage: 50Gi}}}}`), "spec.tmp.medium: remove it"),
	Entry("a tmp on a medium that does not exist", tmp(`medium: HugePages`), `supported values: "", "Memory"`),
	Entry("a volume without a size", tmp(`volumeClaimTemplate: {spec: {storageClassName: fast}}`), "spec.tmp.volumeClaimTemplate.spec.resources"),
	Entry("a format that does not exist", scanner(`formats: [json, swid]`), `supported values: "json", "spdx", "cyclonedx"`),
	Entry("no time for an image", scanner(`timeout: 0s`), "spec.scanner.timeout: use a duration of at least 1s"),
	Entry("a time that is none", scanner(`timeout: soon`), "spec.scanner.timeout"),
	Entry("a negative time to live", `{target: {volume: {claimName: shared}}, ttlAfterFinished: -1h}`, "spec.ttlAfterFinished: use a duration that is not negative"),
	Entry("a label of ours", `{target: {volume: {claimName: shared}}, scheduling: {labels: {sifscan.io/scan: x}}}`, "spec.scheduling.labels: remove keys that begin with sifscan.io/"),
	Entry("a device for a scan", `{target: {volume: {claimName: shared}}, resources: {claims: [{name: gpu}]}}`, "spec.resources.claims: remove it"),
	Entry("a field with a typing error", volume(`path: ["a"]`), `unknown field "spec.target.volume.path"`),
)

func target(fields string) string { return "{target: {" + fields + "}}" }

func volume(fields string) string {
	return fmt.Sprintf("{target: {volume: {claimName: shared, %s}}}", fields)
}

func scanner(fields string) string {
	return fmt.Sprintf("{target: {volume: {claimName: shared}}, scanner: {%s}}", fields)
}

func tmp(fields string) string {
	return fmt.Sprintf("{target: {volume: {claimName: shared}}, tmp: {%s}}", fields)
}

var _ = DescribeTable("A manifest of an executed engine is accepted",
	func(spec string) {
		manifest := "apiVersion: sifscan.io/v1alpha1\nkind: SIFScan\nmetadata: {name: right, namespace: default}\nspec: " + spec + "\n"
		Expect(kubectl("apply", "--dry-run=server", "-f", writeFile("right.yaml", manifest))).To(ContainSubstring("created"))
	},
	Entry("qscanner", scanner(`engine: qscanner, offline: true, excludeDirs: [/opt/data, proc], qscanner: {platform: US2, credentialsSecretName: qualys}`)),
	Entry("qscanner that talks to nobody", scanner(`engine: qscanner, qscanner: {mode: inventory-only}`)),
	Entry("qscanner with policies", scanner(`engine: qscanner, scanTypes: [secret], qscanner: {mode: evaluate-policy, platform: EU1, credentialsSecretName: qualys, policyTags: [hpc, prod]}`)),
	Entry("trivy without a database", scanner(`engine: trivy`)),
	Entry("trivy with a database at a volume's root", scanner(`engine: trivy, offline: true, trivy: {database: {claimName: trivy}}`)),
	Entry("a tmp on disk", tmp(`sizeLimit: 20Gi`)),
	Entry("a tmp in memory", tmp(`sizeLimit: 1073741824, medium: Memory`)),
	Entry("a tmp on a volume", tmp(`volumeClaimTemplate: {spec: {storageClassName: fast, accessModes: [ReadWriteOnce], resources: {requests: {storage: 50Gi}}}}`)),
)

var _ = It("accepts the sample", func() {
	kubectl("create", "namespace", "demo")
	Expect(kubectl("apply", "-f", "../../config/samples/sifscan.yaml")).To(ContainSubstring("sifscan.sifscan.io/demo created"))
	Expect(get(&v1alpha1.SIFScan{ObjectMeta: makeScan("demo", "demo").ObjectMeta})()).To(
		HaveField("Spec.Scanner.Formats", ConsistOf(v1alpha1.FormatJSON, v1alpha1.FormatSPDX, v1alpha1.FormatCycloneDX)))
})
