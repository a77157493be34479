// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ArtifactStore is where an image's documents are kept.
//
// +kubebuilder:validation:Enum=ConfigMap;Volume;None
type ArtifactStore string

// The stores for documents.
const (
	ArtifactsConfigMap ArtifactStore = "ConfigMap"
	ArtifactsVolume    ArtifactStore = "Volume"
	ArtifactsNone      ArtifactStore = "None"
)

// Reports says what is kept of each image.
//
// +kubebuilder:validation:XValidation:rule="!has(self.artifacts) || self.artifacts != 'Volume' || has(self.volume)",message="spec.reports.volume: set it (with claimName) to name the volume that artifacts: Volume keeps documents on"
// +kubebuilder:validation:XValidation:rule="!has(self.volume) || has(self.artifacts) && self.artifacts == 'Volume'",message="spec.reports.artifacts: set it to Volume, or remove spec.reports.volume"
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
	// Volume is a folder per image on the PersistentVolumeClaim that volume names, with all
	// findings; None keeps only the ScanReport. Default: ConfigMap.
	// +optional
	// +kubebuilder:default=ConfigMap
	Artifacts ArtifactStore `json:"artifacts,omitempty"`

	// volume is where artifacts: Volume keeps documents.
	// +optional
	Volume *ReportVolume `json:"volume,omitempty"`
}

// ReportVolume is a folder of a PersistentVolumeClaim of the SIFScan's namespace. Only the
// reporter mounts it, as the scan's user, who needs the right to write to that folder.
type ReportVolume struct {
	// claimName is the PersistentVolumeClaim. It need not exist yet, and is none that is scanned.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.reports.volume.claimName: use the name of a PersistentVolumeClaim (lower case letters, digits, '-' and '.')"
	ClaimName string `json:"claimName"`

	// subPath is the folder of the volume that the documents are kept in. It is made where it is
	// not there; no part of it may be a link. Default: the volume's root.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self == '' || !self.startsWith('/')",message="spec.reports.volume.subPath: remove the leading '/', it is relative to the volume's root"
	// +kubebuilder:validation:XValidation:rule="!self.split('/').exists(c, c == '..')",message="spec.reports.volume.subPath: remove '..', it must stay inside the volume"
	SubPath string `json:"subPath,omitempty"`
}

// Annotations of a ScanReport on what is kept of its image.
const (
	// AnnotationStore names where the documents are kept that belong to the report, in the
	// reporter's words; a run that keeps them elsewhere opens the image again. Absent where they
	// are not kept although a volume should have them.
	AnnotationStore = "sifscan.io/store"
	// AnnotationDocument is the SHA-256 of the report.json on the volume, "/", and how many of its findings the report
	// lists at most. Who reads that report.json needs not read the report. Absent where documents are on no volume.
	AnnotationDocument = "sifscan.io/document"
	// AnnotationNotKept is "true" where documents of the image are not kept; the report's message
	// says which, and why.
	AnnotationNotKept = "sifscan.io/artifacts-not-kept"
	// AnnotationFirstSeen remembers when findings were first seen that the report does not list:
	// hash=time, separated by commas, the time in seconds to the base of 36.
	AnnotationFirstSeen = "sifscan.io/first-seen"
)
