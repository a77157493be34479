// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ArtifactStore is where an image's documents are kept.
//
// +kubebuilder:validation:Enum=ConfigMap;None
type ArtifactStore string

// The stores for documents.
const (
	ArtifactsConfigMap ArtifactStore = "ConfigMap"
	ArtifactsNone      ArtifactStore = "None"
)

// Reports says what is kept of each image.
type Reports struct {
	// maxFindings kept in each ScanReport, the most severe first; all of them are counted.
	// Default: 20.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=500
	MaxFindings *int32 `json:"maxFindings,omitempty"`

	// artifacts says where the documents (formats) of each image are kept: ConfigMap is
	// one immutable ConfigMap per image, gzip, within a budget of 64 MiB per namespace;
	// None keeps only the ScanReport. Default: ConfigMap.
	// +optional
	// +kubebuilder:default=ConfigMap
	Artifacts ArtifactStore `json:"artifacts,omitempty"`
}
