// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Tmp is where images are extracted, and where an executed engine writes. Scans that read images
// in place have none.
//
// +kubebuilder:validation:XValidation:rule="!has(self.volumeClaimTemplate) || !has(self.medium) || size(self.medium) == 0",message="spec.tmp.medium: remove it, a volumeClaimTemplate says where the volume comes from"
type Tmp struct {
	// sizeLimit is the most disk that one image may take, extracted, with all that the engine
	// writes. It is known before the first byte is written whether an image fits.
	// Default: 10Gi; with a volumeClaimTemplate what that requests.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 16777216 : (isQuantity(self) && quantity(self).compareTo(quantity('16Mi')) >= 0)",message="spec.tmp.sizeLimit: use a size of at least 16Mi, such as 10Gi"
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`

	// medium of the volume: empty is the node's disk, Memory is its memory. What is written to
	// Memory counts against spec.resources.limits.memory, which must be larger than sizeLimit.
	// +optional
	// +kubebuilder:validation:Enum="";Memory
	Medium corev1.StorageMedium `json:"medium,omitempty"`

	// volumeClaimTemplate makes a volume for each scan pod, removed with it, instead of space on
	// the node. The scan's user must be able to write to its root: no fsGroup is ever set.
	// +optional
	VolumeClaimTemplate *TmpClaimTemplate `json:"volumeClaimTemplate,omitempty"`
}

// TmpClaimTemplate describes the PersistentVolumeClaim of each scan pod.
type TmpClaimTemplate struct {
	// spec of the claim.
	// +required
	Spec TmpClaimSpec `json:"spec"`
}

// TmpClaimSpec is the part of a PersistentVolumeClaim's spec that an empty volume needs.
type TmpClaimSpec struct {
	// storageClassName of the volume. Default: the cluster's default class.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	StorageClassName *string `json:"storageClassName,omitempty"`
	// accessModes of the volume. Default: ReadWriteOnce.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +listType=set
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty"`
	// resources that are requested of the volume.
	// +required
	Resources TmpClaimResources `json:"resources"`
}

// TmpClaimResources are requested of a volume.
type TmpClaimResources struct {
	// requests of the volume.
	// +required
	Requests TmpClaimRequests `json:"requests"`
}

// TmpClaimRequests are requested of a volume.
type TmpClaimRequests struct {
	// storage is the size of the volume.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 16777216 : (isQuantity(self) && quantity(self).compareTo(quantity('16Mi')) >= 0)",message="spec.tmp.volumeClaimTemplate.spec.resources.requests.storage: use a size of at least 16Mi, such as 50Gi"
	Storage resource.Quantity `json:"storage"`
}
