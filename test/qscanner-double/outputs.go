package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sifscan/sifscan-operator/test/hostile"
)

// vulnerable packages and what the double says of them. The identifiers are invented.
var vulnerable = map[string]struct {
	qid      int
	severity string
	cves     []string
	fixed    string
}{
	"openssl": {900001, "5", []string{"CVE-2099-0001", "CVE-2099-0002"}, "99.0"},
	"bash":    {900002, "3", nil, ""},
	"zlib":    {900003, "4", []string{"CVE-2099-0003"}, "99.0"},
}

// write writes the files that were asked for.
func write(c *call, img *image, b *behaviour) error {
	id := fmt.Sprintf("sha256-double-%x", len(img.packages))
	files := []struct {
		wanted   bool
		key      string
		suffix   string
		document any
	}{
		{c.wants("format", "json"), "json", "-ScanResult.json", scanResult(c, img, b)},
		{c.wants("format", "spdx"), "spdx", ".spdx.json", spdx(c, img)},
		{c.wants("format", "cyclonedx"), "cyclonedx", ".cyclonedx.json", cycloneDX(img)},
		{c.wants("report-format", "sarif") && b.exit != 40 && b.exit != 41, "sarif", "-Report.sarif.json", sarif(img)},
	}
	if b.times > 0 { // a run that ends well has a report
		files[3].wanted = c.wants("report-format", "sarif")
	}
	for _, f := range files {
		if !f.wanted {
			continue
		}
		content, err := json.MarshalIndent(f.document, "", " ")
		if err != nil {
			return err
		}
		name := filepath.Join(c.value("output-dir"), id+f.suffix)
		if err := hostile.Write(name, content, b.spoiled[f.key]); err != nil {
			return err
		}
	}
	// A cache is what qscanner leaves, too.
	return os.WriteFile(filepath.Join(c.value("cache-dir"), "double.cache"), []byte("qscanner-double\n"), 0o600)
}

type object = map[string]any

// scanResult is qscanner's own inventory, whose schema nobody has published.
func scanResult(c *call, img *image, b *behaviour) object {
	result := object{
		"scanner": "qscanner-" + version, "note": "made by a double, not by Qualys", "targetInfo": c.flags["scan-target-info"],
		"shellCommands": c.value("shell-commands"), "packages": len(img.packages),
	}
	if b.printToken {
		result["shown"] = shown()[:5]
	}
	return result
}

func spdx(c *call, img *image) object {
	packages := []object{{"SPDXID": "SPDXRef-Image", "name": filepath.Base(c.operand), "downloadLocation": "NONE"}}
	for i, p := range img.packages {
		packages = append(packages, object{
			"SPDXID": fmt.Sprintf("SPDXRef-Package-%d", i), "name": p.name, "versionInfo": p.version, "downloadLocation": "NONE",
			"externalRefs": []object{{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": p.purl}},
		})
	}
	return object{
		"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "dataLicense": "CC0-1.0", "name": "qscanner-double",
		"documentNamespace": "https://example.org/qscanner-double",
		"creationInfo":      object{"created": "2026-01-01T00:00:00Z", "creators": []string{"Organization: none", "Tool: qscanner-" + version}},
		"packages":          packages,
	}
}

func cycloneDX(img *image) object {
	components := []object{{"type": "operating-system", "name": img.id, "version": img.version}}
	for _, p := range img.packages {
		components = append(components, object{"type": "library", "name": p.name, "version": p.version, "purl": p.purl})
	}
	return object{"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}
}

func sarif(img *image) object {
	rules, results := []object{}, []object{}
	for _, p := range img.packages {
		v, ok := vulnerable[p.name]
		if !ok {
			continue
		}
		id := fmt.Sprint(v.qid)
		rules = append(rules, object{
			"id": id, "shortDescription": object{"text": "invented by qscanner-double: " + p.name},
			"properties": object{"severity": v.severity, "cve-ids": v.cves, "qds": 50},
		})
		results = append(results, object{
			"ruleId": id, "level": "error", "message": object{"text": "invented by qscanner-double"},
			"locations":  []object{{"physicalLocation": object{"artifactLocation": object{"uri": "var/lib/double"}}}},
			"properties": object{"QID": v.qid, "vulnerableSoftware": []object{{"name": p.name, "installedVersion": p.version, "fixedVersion": v.fixed}}},
		})
	}
	return object{
		"version": "2.1.0", "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"runs": []object{{
			"tool":       object{"driver": object{"name": "qscanner-double", "version": version, "rules": rules}},
			"results":    results,
			"properties": object{"os": img.id, "imageID": "qscanner-double"},
		}},
	}
}
