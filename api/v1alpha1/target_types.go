// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Target names the images to scan.
//
// +kubebuilder:validation:XValidation:rule="[has(self.volume), has(self.list), has(self.running), has(self.directory), has(self.image)].filter(x, x).size() == 1",message="spec.target: set exactly one of volume, list, running, directory and image"
type Target struct {
	// volume scans image files on a PersistentVolumeClaim of the SIFScan's namespace.
	// +optional
	Volume *VolumeTarget `json:"volume,omitempty"`

	// list scans what a list in a ConfigMap names, a target a line.
	// +optional
	List *ListTarget `json:"list,omitempty"`

	// running scans what the containers were started from that are alive on nodes.
	// +optional
	Running *RunningTarget `json:"running,omitempty"`

	// directory scans one directory as it is: a root file system, or source code.
	// +optional
	Directory *DirectoryTarget `json:"directory,omitempty"`

	// image scans an image in a registry.
	// +optional
	Image *ImageTarget `json:"image,omitempty"`
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

// ListTarget scans what a list names: paths as users know them, and images in registries. A line
// that is empty or begins with # is none. sif: before a path and image: before a reference say
// what it is; without, a reference is what begins with a registry's host name.
type ListTarget struct {
	// configMap holds the list, in the SIFScan's namespace. It need not exist yet.
	// +required
	ConfigMap ListSource `json:"configMap"`

	// volumes are where the paths of the list are. A path belongs to the volume with the longest
	// mountPath that it begins with; one that is on none of them fails.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=map
	// +listMapKey=mountPath
	Volumes []ListVolume `json:"volumes,omitempty"`
}

// ListSource is a key of a ConfigMap.
type ListSource struct {
	// name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.target.list.configMap.name: use the name of a ConfigMap (lower case letters, digits, '-' and '.')"
	Name string `json:"name"`
	// key that holds the list. Default: targets.txt.
	// +optional
	// +kubebuilder:default=targets.txt
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && self != '..'",message="spec.target.list.configMap.key: use a key of the ConfigMap (letters, digits, '-', '_' and '.')"
	Key string `json:"key,omitempty"`
}

// ListVolume is a PersistentVolumeClaim that a list's paths are on. It is mounted read-only.
type ListVolume struct {
	// claimName is the PersistentVolumeClaim, in the SIFScan's namespace. It need not exist yet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.target.list.volumes.claimName: use the name of a PersistentVolumeClaim (lower case letters, digits, '-' and '.')"
	ClaimName string `json:"claimName"`
	// mountPath is where users see the volume, such as /shared/containers.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/')",message="spec.target.list.volumes.mountPath: begin it with '/', it is the path your users know"
	// +kubebuilder:validation:XValidation:rule="!self.split('/').exists(c, c == '..')",message="spec.target.list.volumes.mountPath: remove '..', write the path in full"
	MountPath string `json:"mountPath"`
}

// DirectoryKind says what a directory's files are.
//
// +kubebuilder:validation:Enum=rootfs;repo
type DirectoryKind string

// The kinds of directories.
const (
	// DirectoryRootfs is a root file system: packages are what is installed in it.
	DirectoryRootfs DirectoryKind = "rootfs"
	// DirectoryRepository is source code: packages are what its lock files name.
	DirectoryRepository DirectoryKind = "repo"
)

// DirectoryTarget scans one directory of a PersistentVolumeClaim. The claim is mounted read-only.
type DirectoryTarget struct {
	// claimName is the PersistentVolumeClaim, in the SIFScan's namespace. It need not exist yet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.target.directory.claimName: use the name of a PersistentVolumeClaim (lower case letters, digits, '-' and '.')"
	ClaimName string `json:"claimName"`
	// subPath is the folder of the volume that is mounted; nothing outside it is seen.
	// Default: the volume's root.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self == '' || !self.startsWith('/')",message="spec.target.directory.subPath: remove the leading '/', it is relative to the volume's root"
	// +kubebuilder:validation:XValidation:rule="!self.split('/').exists(c, c == '..')",message="spec.target.directory.subPath: remove '..', it must stay inside the volume"
	SubPath string `json:"subPath,omitempty"`
	// path of the directory, on the volume (or in its subPath). Default: all of it.
	// +optional
	// +kubebuilder:default="/"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.split('/').exists(c, c == '..')",message="spec.target.directory.path: remove '..', it must stay inside the volume"
	Path string `json:"path,omitempty"`
	// kind of the files: rootfs is a root file system, repo is source code with lock files.
	// Default: rootfs.
	// +optional
	// +kubebuilder:default=rootfs
	Kind DirectoryKind `json:"kind,omitempty"`
}

// ImageTarget scans an image in a registry, for the platform of the node that scans it. It is
// fetched over TLS into spec.tmp.
type ImageTarget struct {
	// reference of the image, such as docker.io/library/nginx:1.27 or
	// registry.example/team/app@sha256:….
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="!self.contains('://')",message="spec.target.image.reference: remove what is before and with '://', such as docker://"
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^ \\t\\r\\n-][^ \\t\\r\\n]*$')",message="spec.target.image.reference: use a reference without spaces, such as docker.io/library/nginx:1.27"
	Reference string `json:"reference"`
	// pullSecretName is a Secret of the type kubernetes.io/dockerconfigjson in the SIFScan's
	// namespace. Default: the registry is asked without an account.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.target.image.pullSecretName: use the name of a Secret (lower case letters, digits, '-' and '.')"
	PullSecretName string `json:"pullSecretName,omitempty"`
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
