// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SIFScanSpec says what to scan, with what, and within which limits.
//
// +kubebuilder:validation:XValidation:rule="!has(self.reports) || !has(self.reports.volume) || ((!has(self.target.volume) || self.target.volume.claimName != self.reports.volume.claimName) && (!has(self.target.directory) || self.target.directory.claimName != self.reports.volume.claimName) && (!has(self.target.list) || !has(self.target.list.volumes) || self.target.list.volumes.all(v, v.claimName != self.reports.volume.claimName)))",message="spec.reports.volume.claimName: use another claim than the one that is scanned, which nothing may write to"
// +kubebuilder:validation:XValidation:rule="!has(self.target.running) || (!has(self.scanner) || (!has(self.scanner.native) && !has(self.scanner.qscanner) && !has(self.scanner.trivy) && !has(self.scanner.excludeDirs) && !has(self.scanner.offline) && (!has(self.scanner.reportFormats) || self.scanner.reportFormats == ['sarif'])))",message="spec.scanner: with spec.target.running set only engine, scanTypes, formats and timeout, the operator's configuration decides the rest"
// +kubebuilder:validation:XValidation:rule="has(self.target.running) || !has(self.scanner) || self.scanner.engine != 'qscanner' || has(self.scanner.qscanner)",message="spec.scanner.qscanner: set platform and credentialsSecretName, or mode: inventory-only, for the engine qscanner"
// +kubebuilder:validation:XValidation:rule="!has(self.target.running) || !has(self.tmp)",message="spec.tmp: remove it, with spec.target.running the operator's configuration decides it"
// +kubebuilder:validation:XValidation:rule="!has(self.target.running) || !has(self.resources)",message="spec.resources: remove it, with spec.target.running the operator's configuration decides it"
// +kubebuilder:validation:XValidation:rule="!has(self.target.running) || (!has(self.rescan) || self.rescan == 'WhenChanged')",message="spec.rescan: remove it, spec.target.running reads an image again only when it changed"
// +kubebuilder:validation:XValidation:rule="!has(self.target.running) || (!has(self.reports) || (!has(self.reports.volume) && (!has(self.reports.artifacts) || self.reports.artifacts == 'ConfigMap')))",message="spec.reports: with spec.target.running set only maxFindings"
// +kubebuilder:validation:XValidation:rule="!has(self.target.running) || !has(self.policy)",message="spec.policy: remove it, spec.target.running tells what runs and judges nothing"
// +kubebuilder:validation:XValidation:rule="!has(self.target.running) || (!has(self.scheduling) || (!has(self.scheduling.nodeSelector) && !has(self.scheduling.affinity) && !has(self.scheduling.priorityClassName) && !has(self.scheduling.schedulerName) && !has(self.scheduling.queueName) && !has(self.scheduling.labels) && !has(self.scheduling.annotations)))",message="spec.scheduling: with spec.target.running set only tolerations, and select nodes in spec.target.running"
type SIFScanSpec struct {
	// target names the images to scan. Exactly one kind of target is set.
	// +required
	Target Target `json:"target"`

	// scanner chooses the engine and what it writes.
	// +optional
	// +kubebuilder:default={"engine":"native"}
	Scanner Scanner `json:"scanner,omitzero"`

	// tmp is where images are extracted for engines that need it; native reads in place.
	// +optional
	Tmp Tmp `json:"tmp,omitzero"`

	// resources of the scanner container.
	// Default: limits 2 CPU and 4Gi, requests 250m and 256Mi, each where it is not set.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!has(self.claims) || size(self.claims) == 0",message="spec.resources.claims: remove it, a scan uses no device"
	Resources corev1.ResourceRequirements `json:"resources,omitzero"`

	// deadline is how long the run may take from when its pods may start; waiting for a slot
	// or a queue, and time suspended, do not count. A run that takes longer is ended and
	// Stalled (DeadlineExceeded); what is finished is kept. Default: none.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s')",message="spec.deadline: use a duration of 1s at least, such as 24h, or remove it"
	Deadline *metav1.Duration `json:"deadline,omitempty"`

	// parallelism is the number of workers that share the images of a run, each a pod with
	// spec.resources. It is decided when a run starts; a later change counts from the next run.
	// Default: 1.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 64",message="spec.parallelism: use 1 to 64 workers"
	Parallelism *int32 `json:"parallelism,omitempty"`

	// rescan says when an image that has a report is opened again: WhenChanged opens it
	// only when its inode, size, times, the settings, the engine or the database changed;
	// Always opens it in every run.
	// +optional
	// +kubebuilder:default=WhenChanged
	Rescan RescanPolicy `json:"rescan,omitempty"`

	// reports says what is kept of each image.
	// +optional
	// +kubebuilder:default={}
	Reports Reports `json:"reports,omitzero"`

	// policy judges each image by its findings. A failed policy is the condition
	// PolicyPassed=False; the scan itself stays Ready. Default: no policy.
	// +optional
	Policy *Policy `json:"policy,omitempty"`

	// scheduling is copied to the scan pods.
	// +optional
	Scheduling Scheduling `json:"scheduling,omitzero"`

	// suspend stops the scan: a running Job is ended, finished reports are kept, and
	// nothing starts until it is false again.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// ttlAfterFinished is how long the Job and its pods (and so their logs) are kept
	// after the scan finished. The SIFScan itself is never deleted. Default: 24h.
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="spec.ttlAfterFinished: use a duration that is not negative, such as 24h or 0s"
	TTLAfterFinished *metav1.Duration `json:"ttlAfterFinished,omitempty"`
}

// Policy is what an image may have at most.
//
// +kubebuilder:validation:XValidation:rule="has(self.maxCritical) || has(self.maxHigh)",message="spec.policy: set maxCritical or maxHigh, a policy without a limit judges nothing"
type Policy struct {
	// maxCritical findings of an image.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxCritical *int32 `json:"maxCritical,omitempty"`
	// maxHigh findings of an image.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxHigh *int32 `json:"maxHigh,omitempty"`
	// onlyFixable counts only findings that a newer version of the package fixes.
	// +optional
	OnlyFixable bool `json:"onlyFixable,omitempty"`
}

// RescanPolicy says when an image that has a report is opened again.
//
// +kubebuilder:validation:Enum=WhenChanged;Always
type RescanPolicy string

// The rescan policies.
const (
	RescanWhenChanged RescanPolicy = "WhenChanged"
	RescanAlways      RescanPolicy = "Always"
)

// Scheduling is copied to the scan pods.
type Scheduling struct {
	// nodeSelector of the scan pods.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// tolerations of the scan pods.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// affinity of the scan pods.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`
	// priorityClassName of the scan pods. Default: the operator's, as shipped the class
	// sifscan-low, which gives way to everything and preempts nothing.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`
	// schedulerName of the scan pods. Default: the cluster's.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SchedulerName string `json:"schedulerName,omitempty"`
	// queueName is the Kueue LocalQueue that decides when the scan's Job may start: it is
	// made suspended and with the label kueue.x-k8s.io/queue-name, and takes no slot of the
	// operator. Default: none.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`
	QueueName string `json:"queueName,omitempty"`
	// labels added to the scan pods. Keys below sifscan.io are refused.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('sifscan.io/'))",message="spec.scheduling.labels: remove keys that begin with sifscan.io/, the operator sets them"
	Labels map[string]string `json:"labels,omitempty"`
	// annotations added to the scan pods. Keys below sifscan.io are refused.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('sifscan.io/'))",message="spec.scheduling.annotations: remove keys that begin with sifscan.io/, the operator sets them"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// SIFScanStatus says what came of the current run.
type SIFScanStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// runID names the current run: a hash of everything in the spec that changes what is
	// scanned, and of the annotation sifscan.io/rescan-at.
	// +optional
	RunID string `json:"runID,omitempty"`
	// lastHandledRescanAt is the value of the annotation sifscan.io/rescan-at that the
	// current run belongs to.
	// +optional
	LastHandledRescanAt string `json:"lastHandledRescanAt,omitempty"`
	// lastFullCoverageTime is when a run, the current or an earlier one, had last checked every image: read it, or
	// found it unchanged. Absent: none ever did. The condition Covered tells what share the last run that ended checked.
	// +optional
	LastFullCoverageTime *metav1.Time `json:"lastFullCoverageTime,omitempty"`
	// startTime is when the Job of the current run was created.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// completionTime is when the current run ended, well or not.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
	// conditions: Ready, Reconciling, Stalled (as kstatus reads them), Complete (for kubectl
	// wait), the notes Degraded and Partial, present only while true, and Covered, which tells the
	// share of the images that the last run checked and when all were last checked.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// targets counts the images of the run. It moves while the run is under way.
	// +optional
	Targets *TargetCounts `json:"targets,omitempty"`
	// nodes counts the nodes of spec.target.running.
	// +optional
	Nodes *NodeCounts `json:"nodes,omitempty"`
	// containers counts what is alive on these nodes.
	// +optional
	Containers *ContainerCounts `json:"containers,omitempty"`
	// summary adds up the reports of the images that the run covered.
	// +optional
	Summary *Summary `json:"summary,omitempty"`
	// worst images, the most critical findings first; at most 10.
	// +optional
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	Worst []WorstImage `json:"worst,omitempty"`
	// inventories is the number of ScanInventory objects of the run.
	// +optional
	Inventories int32 `json:"inventories,omitempty"`
}

// TargetCounts counts images by outcome; the outcomes add up to discovered when the run is finished.
type TargetCounts struct {
	// discovered images, named explicitly or found in directories.
	Discovered int32 `json:"discovered"`
	// scanned in this run.
	Scanned int32 `json:"scanned"`
	// unchanged since their report was written, and not opened.
	Unchanged int32 `json:"unchanged"`
	// failed, each with a reason in its report.
	Failed int32 `json:"failed"`
	// unsupported kinds of image, such as encrypted ones.
	Unsupported int32 `json:"unsupported"`
	// denied files and directories, which the scan's user may not read.
	Denied int32 `json:"denied"`
	// changing while they were read; the next run tries again.
	Changing int32 `json:"changing"`
}

// Summary counts findings and packages. A severity that is absent was not assessed; it is not zero.
type Summary struct {
	// critical findings.
	// +optional
	Critical *int32 `json:"critical,omitempty"`
	// high findings.
	// +optional
	High *int32 `json:"high,omitempty"`
	// medium findings.
	// +optional
	Medium *int32 `json:"medium,omitempty"`
	// low findings.
	// +optional
	Low *int32 `json:"low,omitempty"`
	// unknown severity.
	// +optional
	Unknown *int32 `json:"unknown,omitempty"`
	// fixable findings: a newer version of the package has the fix.
	// +optional
	Fixable *int32 `json:"fixable,omitempty"`
	// secrets: places where a credential lies. Absent when nobody looked for them.
	// +optional
	Secrets *int32 `json:"secrets,omitempty"`
	// packages found.
	Packages int32 `json:"packages"`
	// notAssessed packages: no vulnerability data was there to match them against.
	NotAssessed int32 `json:"notAssessed"`
}

// WorstImage is an image with findings.
type WorstImage struct {
	// report of the image.
	Report string `json:"report"`
	// target is the path of the image.
	Target string `json:"target"`
	// critical findings.
	Critical int32 `json:"critical"`
	// high findings.
	High int32 `json:"high"`
}

// SIFScan is a request to scan Apptainer/Singularity images.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=sscan
// +kubebuilder:printcolumn:name="TARGET",type=string,JSONPath=`.spec.target['volume.claimName','list.configMap.name','running.nodeName','running.nodeSelector','running.podSelector','directory.claimName','image.reference']`,description="What is scanned: the claim, the list's ConfigMap, the nodes, or the reference"
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the scan of this spec is finished"
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why it is ready or not"
// +kubebuilder:printcolumn:name="IMAGES",type=integer,JSONPath=`.status.targets.discovered`,description="Images found"
// +kubebuilder:printcolumn:name="FAILED",type=integer,JSONPath=`.status.targets.failed`,description="Images that could not be scanned"
// +kubebuilder:printcolumn:name="CRITICAL",type=integer,JSONPath=`.status.summary.critical`,description="Critical findings; empty: not assessed"
// +kubebuilder:printcolumn:name="HIGH",type=integer,JSONPath=`.status.summary.high`,description="High findings; empty: not assessed"
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="ENGINE",type=string,priority=1,JSONPath=`.spec.scanner.engine`
// +kubebuilder:printcolumn:name="UNCHANGED",type=integer,priority=1,JSONPath=`.status.targets.unchanged`
// +kubebuilder:printcolumn:name="DENIED",type=integer,priority=1,JSONPath=`.status.targets.denied`
// +kubebuilder:printcolumn:name="COVERED",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Covered")].status`,description="Whether the last run that ended checked every image"
// +kubebuilder:printcolumn:name="STARTED",type=date,priority=1,JSONPath=`.status.startTime`
type SIFScan struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what to scan.
	// +required
	Spec SIFScanSpec `json:"spec"`
	// status says what came of it.
	// +optional
	Status SIFScanStatus `json:"status,omitzero"`
}

// SIFScanList is a list of SIFScans.
//
// +kubebuilder:object:root=true
type SIFScanList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SIFScan `json:"items"`
}
