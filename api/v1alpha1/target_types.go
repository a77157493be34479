// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Target names the images to scan.
//
// +kubebuilder:validation:XValidation:rule="has(self.volume)",message="spec.target: set volume (with claimName) to name the images to scan"
type Target struct {
	// volume scans image files on a PersistentVolumeClaim of the SIFScan's namespace.
	// +optional
	Volume *VolumeTarget `json:"volume,omitempty"`
}

// VolumeTarget selects image files on a PersistentVolumeClaim. The claim is mounted read-only.
type VolumeTarget struct {
	// claimName is the PersistentVolumeClaim, in the SIFScan's namespace. It need not exist yet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.target.volume.claimName: use the name of a PersistentVolumeClaim (lower case letters, digits, '-' and '.')"
	ClaimName string `json:"claimName"`

	// subPath is the folder of the volume that is mounted; nothing outside it is seen.
	// Default: the volume's root.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self == '' || !self.startsWith('/')",message="spec.target.volume.subPath: remove the leading '/', it is relative to the volume's root"
	// +kubebuilder:validation:XValidation:rule="!self.split('/').exists(c, c == '..')",message="spec.target.volume.subPath: remove '..', it must stay inside the volume"
	SubPath string `json:"subPath,omitempty"`

	// mountPath is where users see the volume (or its subPath), such as /shared/containers.
	// It is stripped from paths given here, shown in reports, and resolves absolute links.
	// +optional
	// +kubebuilder:default="/"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/')",message="spec.target.volume.mountPath: begin it with '/', it is the path your users know"
	// +kubebuilder:validation:XValidation:rule="!self.split('/').exists(c, c == '..')",message="spec.target.volume.mountPath: remove '..', write the path in full"
	MountPath string `json:"mountPath,omitempty"`

	// paths are files, directories and ** globs: relative to the volume, or absolute below
	// mountPath. A file that is named here is opened whatever its name. Default: everything (**).
	// +optional
	// +kubebuilder:default={"**"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	// +kubebuilder:validation:XValidation:rule="self.all(p, !p.split('/').exists(c, c == '..'))",message="spec.target.volume.paths: remove '..', paths must stay inside the volume"
	Paths []PathPattern `json:"paths,omitempty"`

	// exclude are files, directories and ** globs that are skipped, with all below them.
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +listType=atomic
	// +kubebuilder:validation:XValidation:rule="self.all(p, !p.split('/').exists(c, c == '..'))",message="spec.target.volume.exclude: remove '..', paths must stay inside the volume"
	Exclude []PathPattern `json:"exclude,omitempty"`

	// fileNames are the patterns that a file's name must match to be opened inside a
	// directory or a glob. What the file really is, its content decides.
	// Default: *.sif *.simg *.sqsh *.squashfs *.img
	// +optional
	// +kubebuilder:default={"*.sif","*.simg","*.sqsh","*.squashfs","*.img"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	// +kubebuilder:validation:XValidation:rule="self.all(n, !n.contains('/'))",message="spec.target.volume.fileNames: remove '/', these match a file's name, not its path; use paths for that"
	FileNames []NamePattern `json:"fileNames,omitempty"`
}

// PathPattern is a path or a ** glob.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
type PathPattern string

// NamePattern matches the name of a file.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
type NamePattern string
