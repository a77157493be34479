// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = It("accepts every manifest of ours that the documentation shows", func() {
	pages, err := filepath.Glob("../../docs/*.md")
	Expect(err).NotTo(HaveOccurred())
	shown := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		Expect(err).NotTo(HaveOccurred())
		for _, manifest := range manifestsIn(string(text)) {
			shown++
			said, err := tryKubectl("apply", "--dry-run=server", "-f", writeFile("shown.yaml", manifest))
			Expect(err).NotTo(HaveOccurred(), "%s shows:\n%s\n%s", page, manifest, said)
		}
	}
	Expect(shown).To(BeNumerically(">=", 8))
})

// namespaces of the examples do not exist here.
var namespaces = regexp.MustCompile(`namespace: [a-z-]+`)

// manifestsIn returns the YAML of a page. Of a SIFScan a page may show its spec alone, and of that what it is about.
func manifestsIn(page string) (manifests []string) {
	for _, block := range strings.Split(page, "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if fields, ok := strings.CutPrefix(block, "spec:\n"); ok {
			if !strings.Contains(fields, "target:") {
				fields = "  target: {volume: {claimName: shared}}\n" + fields
			}
			block = "apiVersion: sifscan.io/v1alpha1\nkind: SIFScan\nmetadata: {name: shown, namespace: default}\nspec:\n" + fields
		}
		if !strings.Contains(block, "apiVersion: sifscan.io/") {
			continue // of Flux or Argo CD, which this API server does not know
		}
		manifests = append(manifests, namespaces.ReplaceAllString(block, "namespace: default"))
	}
	return manifests
}
