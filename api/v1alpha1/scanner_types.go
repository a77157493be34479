// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Engine is the program that reads packages and matches vulnerabilities.
//
// +kubebuilder:validation:Enum=native;qscanner;trivy
type Engine string

// The engines.
const (
	// EngineNative is the engine inside the agent. It reads images in place and needs no tmp.
	EngineNative Engine = "native"
	// EngineQscanner is Qualys' qscanner, a binary that the site supplies. It reads extracted images.
	EngineQscanner Engine = "qscanner"
	// EngineTrivy is trivy, a binary that the site supplies. It reads extracted images, offline.
	EngineTrivy Engine = "trivy"
)

// ScanType is what an engine looks for.
//
// +kubebuilder:validation:Enum=pkg;fileinsight;secret
type ScanType string

// The scan types.
const (
	// ScanPackages lists packages and matches them with vulnerabilities.
	ScanPackages ScanType = "pkg"
	// ScanFileInsight summarises the files that no package owns.
	ScanFileInsight ScanType = "fileinsight"
	// ScanSecrets looks for credentials; it takes several times as long as pkg.
	ScanSecrets ScanType = "secret"
)

// Format is a document about an image's content.
//
// +kubebuilder:validation:Enum=json;spdx;cyclonedx
type Format string

// The formats of documents.
const (
	// FormatJSON is the engine's own inventory, inventory.json.
	FormatJSON Format = "json"
	// FormatSPDX is SPDX 2.3 JSON, sbom.spdx.json.
	FormatSPDX Format = "spdx"
	// FormatCycloneDX is CycloneDX 1.6 JSON, sbom.cdx.json.
	FormatCycloneDX Format = "cyclonedx"
)

// ReportFormat is a document about what was found in an image.
//
// +kubebuilder:validation:Enum=sarif;table;json
type ReportFormat string

// The formats of documents about what was found.
const (
	// ReportSARIF is SARIF 2.1.0, report.sarif.
	ReportSARIF ReportFormat = "sarif"
	// ReportTable is text for people, report.txt.
	ReportTable ReportFormat = "table"
	// ReportJSON is the ScanReport itself, which there always is.
	ReportJSON ReportFormat = "json"
)

// Scanner chooses the engine and what it writes.
//
// +kubebuilder:validation:XValidation:rule="!has(self.native) || self.engine == 'native'",message="spec.scanner.native: remove it, or set spec.scanner.engine to native"
// +kubebuilder:validation:XValidation:rule="!has(self.qscanner) || self.engine == 'qscanner'",message="spec.scanner.qscanner: remove it, or set spec.scanner.engine to qscanner"
// +kubebuilder:validation:XValidation:rule="!has(self.trivy) || self.engine == 'trivy'",message="spec.scanner.trivy: remove it, or set spec.scanner.engine to trivy"
// +kubebuilder:validation:XValidation:rule="self.engine == 'qscanner' || !has(self.offline) || self.offline",message="spec.scanner.offline: remove it or set it to true, the engines native and trivy never use the network"
// +kubebuilder:validation:XValidation:rule="self.engine != 'trivy' || !has(self.scanTypes) || self.scanTypes.exists(t, t != 'fileinsight')",message="spec.scanner.scanTypes: add pkg or secret, the engine trivy has no fileinsight"
type Scanner struct {
	// engine that reads the images. qscanner and trivy are programs that the operator's
	// administrator supplies. Default: native.
	// +optional
	// +kubebuilder:default=native
	Engine Engine `json:"engine,omitempty"`

	// scanTypes are what the engine looks for: pkg, packages and their vulnerabilities;
	// fileinsight, the files that no package owns (trivy has none); secret, credentials.
	// They are part of what a ScanReport is about. Default: pkg and fileinsight.
	// +optional
	// +kubebuilder:default={"pkg","fileinsight"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +listType=set
	ScanTypes []ScanType `json:"scanTypes,omitempty"`

	// formats of the documents kept for each image. Default: json and spdx.
	// +optional
	// +kubebuilder:default={"json","spdx"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +listType=set
	Formats []Format `json:"formats,omitempty"`

	// reportFormats of the documents about what was found in each image: sarif, for other tools;
	// table, for people; json, the ScanReport itself, which there always is. Default: sarif.
	// +optional
	// +kubebuilder:default={"sarif"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +listType=set
	ReportFormats []ReportFormat `json:"reportFormats,omitempty"`

	// offline keeps qscanner from downloading its Java database; it still talks to its
	// platform, unless its mode is inventory-only. native and trivy are always offline.
	// Default: false for qscanner.
	// +optional
	Offline *bool `json:"offline,omitempty"`

	// excludeDirs are directories of every image that are not entered, such as /opt/data.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	// +kubebuilder:validation:XValidation:rule="self.all(d, !d.split('/').exists(c, c == '..'))",message="spec.scanner.excludeDirs: remove '..', write each directory in full, such as /opt/data"
	// +kubebuilder:validation:XValidation:rule="self.all(d, d.matches('[^/]'))",message="spec.scanner.excludeDirs: remove '/', nothing would be left to scan"
	ExcludeDirs []ImageDirectory `json:"excludeDirs,omitempty"`

	// native configures the engine native.
	// +optional
	Native *NativeEngine `json:"native,omitempty"`

	// qscanner configures the engine qscanner.
	// +optional
	Qscanner *QscannerEngine `json:"qscanner,omitempty"`

	// trivy configures the engine trivy.
	// +optional
	Trivy *TrivyEngine `json:"trivy,omitempty"`

	// timeout of one image. Default: 30m.
	// +optional
	// +kubebuilder:default="30m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s')",message="spec.scanner.timeout: use a duration of at least 1s, such as 30m"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// ImageDirectory is a directory inside an image. Engines take lists of them separated by commas, which
// is why a name must not have one.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:Pattern=`^[^,"\x00-\x1f]+$`
type ImageDirectory string

// NativeEngine configures the engine native.
type NativeEngine struct {
	// database of vulnerabilities that packages are matched with, made by node-agent db build.
	// Default: the operator's default database; without one, nothing is assessed.
	// +optional
	Database *DatabaseSource `json:"database,omitempty"`
}

// DatabaseSource is a file on a PersistentVolumeClaim of the SIFScan's namespace.
type DatabaseSource struct {
	// claimName is the PersistentVolumeClaim that holds the database. It is mounted read-only.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.scanner.native.database.claimName: use the name of a PersistentVolumeClaim (lower case letters, digits, '-' and '.')"
	ClaimName string `json:"claimName"`
	// path of the file on the claim.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.split('/').exists(c, c == '..' || c == '.' || c == '')",message="spec.scanner.native.database.path: write the path of a file relative to the volume's root, such as osv/osv.db"
	Path string `json:"path"`
}

// QscannerMode is what qscanner does with what it found.
//
// +kubebuilder:validation:Enum=get-report;scan-only;inventory-only;evaluate-policy
type QscannerMode string

// The modes of qscanner.
const (
	// QscannerGetReport uploads the inventory and waits for the vulnerability report.
	QscannerGetReport QscannerMode = "get-report"
	// QscannerScanOnly uploads the inventory.
	QscannerScanOnly QscannerMode = "scan-only"
	// QscannerInventoryOnly talks to nobody.
	QscannerInventoryOnly QscannerMode = "inventory-only"
	// QscannerEvaluatePolicy is get-report, and asks for the verdict of the platform's policies.
	QscannerEvaluatePolicy QscannerMode = "evaluate-policy"
)

// QscannerTokenKey is the key of the access token in the Secret that
// spec.scanner.qscanner.credentialsSecretName names.
const QscannerTokenKey = "QUALYS_ACCESS_TOKEN"

// QscannerEngine configures the engine qscanner.
//
// +kubebuilder:validation:XValidation:rule="self.mode == 'inventory-only' || has(self.credentialsSecretName)",message="spec.scanner.qscanner.credentialsSecretName: name a Secret with the key QUALYS_ACCESS_TOKEN, or set mode: inventory-only, which needs none"
// +kubebuilder:validation:XValidation:rule="!has(self.policyTags) || self.mode == 'evaluate-policy'",message="spec.scanner.qscanner.policyTags: remove them, or set mode: evaluate-policy"
type QscannerEngine struct {
	// platform of the subscription, such as US2 or EU1. Not needed for inventory-only, nor
	// where the operator's administrator names a gateway.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Z0-9]+$')",message="spec.scanner.qscanner.platform: use the name of a Qualys platform (capital letters and digits), such as US2 or EU1"
	Platform string `json:"platform,omitempty"`

	// mode: get-report uploads the inventory and fetches the vulnerabilities; scan-only uploads
	// it; inventory-only talks to nobody; evaluate-policy is get-report with the verdict of the
	// platform's policies, as the condition PolicyPassed. Default: get-report.
	// +optional
	// +kubebuilder:default=get-report
	Mode QscannerMode `json:"mode,omitempty"`

	// policyTags choose the platform's policies for evaluate-policy. Default: the platform's choice.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +listType=set
	PolicyTags []PolicyTag `json:"policyTags,omitempty"`

	// credentialsSecretName is a Secret of the SIFScan's namespace with the access token under
	// the key QUALYS_ACCESS_TOKEN. The scanner alone gets it, in its environment. inventory-only
	// does not use it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.scanner.qscanner.credentialsSecretName: use the name of a Secret (lower case letters, digits, '-' and '.')"
	CredentialsSecretName string `json:"credentialsSecretName,omitempty"`
}

// PolicyTag is a tag of a policy of the platform.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:Pattern=`^[^,"\x00-\x1f]+$`
type PolicyTag string

// TrivyEngine configures the engine trivy.
type TrivyEngine struct {
	// database that packages are matched with. Default: none, packages are listed and not assessed.
	// +optional
	Database *TrivyDatabase `json:"database,omitempty"`
}

// TrivyDatabase is a cache directory of trivy, as trivy itself downloads it, on a
// PersistentVolumeClaim of the SIFScan's namespace.
type TrivyDatabase struct {
	// claimName is the PersistentVolumeClaim that holds the cache. It is mounted read-only.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.scanner.trivy.database.claimName: use the name of a PersistentVolumeClaim (lower case letters, digits, '-' and '.')"
	ClaimName string `json:"claimName"`
	// path of the cache directory on the claim: it holds db/trivy.db and, for images with JAR
	// files, java-db/. Default: the volume's root.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self == '' || !self.startsWith('/') && !self.split('/').exists(c, c == '..' || c == '.' || c == '')",message="spec.scanner.trivy.database.path: write the path of a directory relative to the volume's root, such as trivy/cache"
	Path string `json:"path,omitempty"`
}
