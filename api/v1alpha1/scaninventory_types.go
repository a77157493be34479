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

// MaxInventoryEntries is the largest number of entries in one ScanInventory. At the longest
// usual paths (200 bytes) a chunk stays below 700 KiB, under etcd's 1.5 MiB a request.
const MaxInventoryEntries = 2000

// ScanInventory is what one worker of one run saw and what came of it, in chunks of at most
// 2,000 entries.
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
}

// ScanInventoryList is a list of ScanInventories.
//
// +kubebuilder:object:root=true
type ScanInventoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ScanInventory `json:"items"`
}
