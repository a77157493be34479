// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RunningTarget scans the images of the Apptainer and Singularity containers that are alive on
// nodes. Each image is read once, however many containers and nodes run it. The operator must be
// configured for it, and who creates or changes such a SIFScan needs the cluster-scoped right to
// create nodescans.sifscan.io.
//
// +kubebuilder:validation:XValidation:rule="[has(self.nodeName), has(self.nodeSelector), has(self.podSelector)].filter(x, x).size() == 1",message="spec.target.running: set exactly one of nodeName, nodeSelector and podSelector; nodeSelector: {} is every node"
// +kubebuilder:validation:XValidation:rule="!has(self.pid) || has(self.nodeName)",message="spec.target.running.pid: set nodeName, too, a process id means nothing without its node"
// +kubebuilder:validation:XValidation:rule="!has(self.podNamespaces) || has(self.podSelector)",message="spec.target.running.podNamespaces: set podSelector, too, or remove it"
type RunningTarget struct {
	// nodeName is one node.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.target.running.nodeName: use the name of a node, as kubectl get nodes prints it"
	NodeName string `json:"nodeName,omitempty"`
	// nodeSelector selects nodes by their labels; {} selects every node.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitzero"`
	// podSelector selects pods by their labels, such as those of slurmd: the nodes they run on
	// are scanned, and only containers inside these pods are shown.
	// +optional
	PodSelector *metav1.LabelSelector `json:"podSelector,omitempty"`
	// podNamespaces are where podSelector looks for pods. Default: the SIFScan's namespace.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	PodNamespaces []string `json:"podNamespaces,omitempty"`
	// pid is one process on the node nodeName, or one inside its container: only that container is scanned.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4194304
	PID int32 `json:"pid,omitempty"`
	// imagePattern is a glob that the whole path of a container's image must match, such as *pytorch*:
	// * also stands for /. Default: every image.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	ImagePattern string `json:"imagePattern,omitempty"`
	// slurmJobID is the Slurm job whose containers are scanned. Default: of every job and of none.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]+$')",message="spec.target.running.slurmJobID: use the number of a job, as squeue prints it"
	SlurmJobID string `json:"slurmJobID,omitempty"`
	// listOnly tells what runs where and reads no image. Default: false.
	// +optional
	ListOnly bool `json:"listOnly,omitempty"`
}

// NodeCounts counts the nodes of a scan of running containers.
type NodeCounts struct {
	// selected nodes.
	Selected int32 `json:"selected"`
	// done nodes: their containers are listed. Nodes where none is alive count, too.
	Done int32 `json:"done"`
	// failed nodes, whose containers are not known.
	Failed int32 `json:"failed"`
	// skipped nodes: gone, cordoned, drained, or not to be scheduled on. Their containers are not known either.
	Skipped int32 `json:"skipped"`
}

// ContainerCounts counts the live containers of a scan.
type ContainerCounts struct {
	// found containers. Each rank of a parallel program is one.
	Found int32 `json:"found"`
	// images that they were started from.
	Images int32 `json:"images"`
}
