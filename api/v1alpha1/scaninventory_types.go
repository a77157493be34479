// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// InventoryWorker says how far a worker of a run is. It is repeated in each of the worker's
// chunks; the first chunk is current.
type InventoryWorker struct {
	// index of the worker in its run.
	Index int32 `json:"index"`
	// node the worker ran on last.
	// +optional
	Node string `json:"node,omitempty"`
	// done targets: those with an entry.
	Done int32 `json:"done"`
	// total targets of the worker; absent until they are listed.
	// +optional
	Total *int32 `json:"total,omitempty"`
	// inFlight are targets whose scan was begun and has no outcome yet.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	InFlight []InFlight `json:"inFlight,omitempty"`
	// startedAt is when the worker's first pod began.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// updatedAt is when this worker last wrote.
	// +optional
	UpdatedAt *metav1.Time `json:"updatedAt,omitempty"`
}

// InFlight is a target whose scan was begun and has no outcome yet.
type InFlight struct {
	// path relative to the volume.
	Path string `json:"path"`
	// attempts begun so far. A worker that dies with a target in flight has used one.
	Attempts int32 `json:"attempts"`
}

// EntryOutcome is what came of one path.
//
// +kubebuilder:validation:Enum=scanned;unchanged;failed;unsupported;denied;changing
type EntryOutcome string

// The outcomes of a path.
const (
	EntryScanned     EntryOutcome = "scanned"
	EntryUnchanged   EntryOutcome = "unchanged"
	EntryFailed      EntryOutcome = "failed"
	EntryUnsupported EntryOutcome = "unsupported"
	EntryDenied      EntryOutcome = "denied"
	EntryChanging    EntryOutcome = "changing"
)

// InventoryEntry is one path and what came of it.
type InventoryEntry struct {
	// path relative to the volume. Bytes that are not printable are escaped as \xNN.
	Path string `json:"path"`
	// outcome of the path in this run.
	Outcome EntryOutcome `json:"outcome"`
	// report that holds what is known of the image; empty when there is none.
	// +optional
	Report string `json:"report,omitempty"`
	// checkedAt is when the path was looked at in this run.
	CheckedAt metav1.Time `json:"checkedAt"`
}

// ContainerMode says how a container was started.
//
// +kubebuilder:validation:Enum=exec;instance
type ContainerMode string

// The modes of a container.
const (
	// ContainerExec is started by apptainer exec, run or shell, and ends with its command.
	ContainerExec ContainerMode = "exec"
	// ContainerInstance is started by apptainer instance.
	ContainerInstance ContainerMode = "instance"
)

// InventoryContainer is what runs of one image for one user in one job on one node: one
// container, or the ranks of a parallel program.
type InventoryContainer struct {
	// key of the image: equal wherever the same file of the same file system runs with the same
	// content. Empty where nothing tells which file it is.
	// +optional
	Key string `json:"key,omitempty"`
	// image is its path as who started it sees it. Bytes that are not printable are escaped as \xNN.
	Image string `json:"image"`
	// report that holds what is known of the image; empty until it was scanned.
	// +optional
	Report string `json:"report,omitempty"`
	// user id that the container's first process has on the node.
	User int64 `json:"user"`
	// pids on the node of the first process of each container, at most 20.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	PIDs []int32 `json:"pids,omitempty"`
	// ranks is the number of containers.
	Ranks int32 `json:"ranks"`
	// since is when the first of them was started.
	Since metav1.Time `json:"since"`
	// mode is exec or instance.
	Mode ContainerMode `json:"mode"`
	// writable: the container has a writable layer over the image, which is not read.
	// +optional
	Writable bool `json:"writable,omitempty"`
	// slurm job that it runs in; absent outside of Slurm.
	// +optional
	Slurm *InventorySlurm `json:"slurm,omitempty"`
	// pod that it runs in, such as a slurmd pod; absent outside of pods.
	// +optional
	Pod *InventoryPod `json:"pod,omitempty"`
	// coverage of the image's content: complete, partial, unreachable or vanished; empty until it was scanned.
	// +optional
	// +kubebuilder:validation:Enum=complete;partial;unreachable;vanished
	Coverage string `json:"coverage,omitempty"`
}

// MaxInventoryPIDs is the largest number of process ids of an InventoryContainer.
const MaxInventoryPIDs = 20

// SlurmSource says what told of a Slurm job.
//
// +kubebuilder:validation:Enum=cgroup;environment
type SlurmSource string

// The sources of a Slurm job.
const (
	// SlurmFromCgroup: slurmstepd put the process there.
	SlurmFromCgroup SlurmSource = "cgroup"
	// SlurmFromEnvironment: the user's own environment claims it.
	SlurmFromEnvironment SlurmSource = "environment"
)

// InventorySlurm is a Slurm job.
type InventorySlurm struct {
	// job id.
	Job string `json:"job"`
	// step of the job: a number, batch, extern or interactive.
	// +optional
	Step string `json:"step,omitempty"`
	// task of the step, where all the containers are of one.
	// +optional
	Task string `json:"task,omitempty"`
	// source is cgroup, or environment where only the user's own environment claims it.
	Source SlurmSource `json:"source"`
}

// InventoryPod is a pod in which a container runs.
type InventoryPod struct {
	// namespace of the pod.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// name of the pod.
	// +optional
	Name string `json:"name,omitempty"`
	// uid of the pod.
	UID string `json:"uid"`
	// labels of the pod that name its Slurm cluster and node set.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Labels map[string]string `json:"labels,omitempty"`
}

// MaxDeaths is how often an image may kill its scanner before it fails without being opened: once could be a neighbour's
// fault or the node's.
const MaxDeaths = 2

// MaxInventoryEntries is the largest number of entries and containers in one ScanInventory. At the
// longest usual paths (200 bytes) a chunk stays below 700 KiB, under etcd's 1.5 MiB a request.
const MaxInventoryEntries = 2000

// ScanInventory is what one worker of one run saw and what came of it, in chunks of at most
// 2,000 entries and containers.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=sinv
// +kubebuilder:printcolumn:name="SCAN",type=string,JSONPath=`.metadata.labels.sifscan\.io/scan`
// +kubebuilder:printcolumn:name="WORKER",type=integer,JSONPath=`.worker.index`
// +kubebuilder:printcolumn:name="DONE",type=integer,JSONPath=`.worker.done`
// +kubebuilder:printcolumn:name="TOTAL",type=integer,JSONPath=`.worker.total`
// +kubebuilder:printcolumn:name="NODE",type=string,JSONPath=`.worker.node`
// +kubebuilder:printcolumn:name="UPDATED",type=date,JSONPath=`.worker.updatedAt`
type ScanInventory struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// worker says how far the worker is.
	// +required
	Worker InventoryWorker `json:"worker"`
	// entries are the paths of this chunk.
	// +optional
	// +kubebuilder:validation:MaxItems=2000
	// +listType=atomic
	Entries []InventoryEntry `json:"entries,omitempty"`
	// entriesGz holds the entries instead where they take more than 64 KiB: the same list as JSON,
	// gzip. In the list that a run with several workers froze (label sifscan.io/plan) it holds what
	// is to be scanned, an object a line.
	// +optional
	// +kubebuilder:validation:MaxLength=1398104
	EntriesGz []byte `json:"entriesGz,omitempty"`
	// containers that are alive on the worker's node.
	// +optional
	// +kubebuilder:validation:MaxItems=2000
	// +listType=atomic
	Containers []InventoryContainer `json:"containers,omitempty"`
}

// ScanInventoryList is a list of ScanInventories.
//
// +kubebuilder:object:root=true
type ScanInventoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ScanInventory `json:"items"`
}
