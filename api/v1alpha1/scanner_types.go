// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Engine is the program that reads packages and matches vulnerabilities.
//
// +kubebuilder:validation:Enum=native
type Engine string

// EngineNative is the engine inside the agent. It reads images in place and needs no tmp.
const EngineNative Engine = "native"

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

// Scanner chooses the engine and what it writes.
type Scanner struct {
	// engine that reads the images. Default: native.
	// +optional
	// +kubebuilder:default=native
	Engine Engine `json:"engine,omitempty"`

	// formats of the documents kept for each image. Default: json and spdx.
	// +optional
	// +kubebuilder:default={"json","spdx"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +listType=set
	Formats []Format `json:"formats,omitempty"`

	// native configures the engine native.
	// +optional
	Native *NativeEngine `json:"native,omitempty"`

	// timeout of one image. Default: 30m.
	// +optional
	// +kubebuilder:default="30m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s')",message="spec.scanner.timeout: use a duration of at least 1s, such as 30m"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

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
