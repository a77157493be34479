// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ScanScheduleSpec says when to make SIFScans, and which.
type ScanScheduleSpec struct {
	// schedule is a cron expression: minute, hour, day of month, month, day of week; or @hourly,
	// @daily, @weekly, @monthly, @yearly. A wall-clock time that the clock jumps over is due right
	// after the jump, one that it shows twice is due the first time; with a wildcard or a step in
	// the hour field the schedule follows the time that elapses.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="!self.upperAscii().contains('TZ=')",message="spec.schedule: remove the time zone and use spec.timeZone"
	// +kubebuilder:validation:XValidation:rule="!self.contains('@') || self.lowerAscii() in ['@hourly', '@daily', '@midnight', '@weekly', '@monthly', '@yearly', '@annually']",message="spec.schedule: use @hourly, @daily, @weekly, @monthly, @yearly, or five fields such as 30 1 * * *"
	Schedule string `json:"schedule"`

	// timeZone of the schedule, a name of the IANA database. Default: UTC.
	// +optional
	// +kubebuilder:default=UTC
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.lowerAscii() != 'local'",message="spec.timeZone: name a zone such as Europe/Berlin; the operator's own clock is nobody's"
	TimeZone *string `json:"timeZone,omitempty"`

	// jitter delays each run by a part of this that differs from schedule to schedule and from run
	// to run, and is the same whenever it is computed. It must be smaller than the time between two
	// runs. Default: 0s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s')",message="spec.jitter: use a duration that is not negative, such as 30m"
	Jitter *metav1.Duration `json:"jitter,omitempty"`

	// concurrencyPolicy says what happens when a run is due while an earlier one is not finished:
	// Forbid waits for it, Allow starts another, Replace ends it first. Default: Forbid.
	// +optional
	// +kubebuilder:default=Forbid
	ConcurrencyPolicy ConcurrencyPolicy `json:"concurrencyPolicy,omitempty"`

	// startingDeadlineSeconds is how late a run may start, counted from when it was due, jitter
	// included. Later, it is missed. Default: no deadline; only the latest missed run starts.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	StartingDeadlineSeconds *int64 `json:"startingDeadlineSeconds,omitempty"`

	// suspend starts no further runs. It leaves those that are at work alone.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// successfulHistoryLimit is how many finished SIFScans are kept. Their reports stay in any case. Default: 3.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	SuccessfulHistoryLimit *int32 `json:"successfulHistoryLimit,omitempty"`

	// failedHistoryLimit is how many failed SIFScans are kept. Default: 3.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	FailedHistoryLimit *int32 `json:"failedHistoryLimit,omitempty"`

	// template of the SIFScans.
	// +required
	// +kubebuilder:validation:XValidation:rule="!has(self.spec.target.running) || !has(self.spec.target.running.pid)",message="spec.template.spec.target.running.pid: remove it, when the schedule is due the id is another process's"
	Template SIFScanTemplate `json:"template"`
}

// ConcurrencyPolicy says what happens when a run is due while an earlier one is not finished.
//
// +kubebuilder:validation:Enum=Forbid;Allow;Replace
type ConcurrencyPolicy string

// The concurrency policies.
const (
	ConcurrencyForbid  ConcurrencyPolicy = "Forbid"
	ConcurrencyAllow   ConcurrencyPolicy = "Allow"
	ConcurrencyReplace ConcurrencyPolicy = "Replace"
)

// SIFScanTemplate is what a ScanSchedule makes SIFScans from.
type SIFScanTemplate struct {
	// metadata of the SIFScans.
	// +optional
	Metadata TemplateMetadata `json:"metadata,omitzero"`
	// spec of the SIFScans.
	// +required
	Spec SIFScanSpec `json:"spec"`
}

// TemplateMetadata is the metadata that a SIFScan takes from its template.
type TemplateMetadata struct {
	// labels of the SIFScan. Keys below sifscan.io are refused.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('sifscan.io/'))",message="spec.template.metadata.labels: remove keys that begin with sifscan.io/, the operator sets them"
	Labels map[string]string `json:"labels,omitempty"`
	// annotations of the SIFScan. Keys below sifscan.io are refused.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('sifscan.io/'))",message="spec.template.metadata.annotations: remove keys that begin with sifscan.io/, the operator sets them"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ScanScheduleStatus says what the schedule did last and does next.
type ScanScheduleStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// lastScheduleTime is when the run that started last was due, without jitter.
	// +optional
	LastScheduleTime *metav1.Time `json:"lastScheduleTime,omitempty"`
	// lastFullCoverageTime is when a run had last checked every image: read it, or found it unchanged. It outlives
	// the SIFScan of that run. Absent: none ever did. The condition Covered tells what share the last run that ended checked.
	// +optional
	LastFullCoverageTime *metav1.Time `json:"lastFullCoverageTime,omitempty"`
	// nextScheduleTime is when the next run starts, with jitter.
	// +optional
	NextScheduleTime *metav1.Time `json:"nextScheduleTime,omitempty"`
	// lastSuccessfulTime is when a run last finished well.
	// +optional
	LastSuccessfulTime *metav1.Time `json:"lastSuccessfulTime,omitempty"`
	// active are the names of SIFScans that are not finished; at most 20.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Active []string `json:"active,omitempty"`
	// conditions: Ready, Stalled (as kstatus reads them), RunNow, whose message is the value of
	// the annotation sifscan.io/run-now that was taken up last, and Covered, which tells the share of
	// the images that the last run checked and when all were last checked.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ScanSchedule makes SIFScans at the times of a cron schedule.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ssched
// +kubebuilder:printcolumn:name="SCHEDULE",type=string,JSONPath=`.spec.schedule`,description="Cron expression"
// +kubebuilder:printcolumn:name="ZONE",type=string,JSONPath=`.spec.timeZone`,description="Time zone of the schedule"
// +kubebuilder:printcolumn:name="SUSPENDED",type=boolean,JSONPath=`.spec.suspend`,description="Whether no runs start"
// +kubebuilder:printcolumn:name="ACTIVE",type=string,JSONPath=`.status.active[0]`,description="A SIFScan that is not finished"
// +kubebuilder:printcolumn:name="LAST",type=date,JSONPath=`.status.lastScheduleTime`,description="When the run that started last was due"
// +kubebuilder:printcolumn:name="NEXT",type=string,JSONPath=`.status.nextScheduleTime`,description="When the next run starts"
// +kubebuilder:printcolumn:name="COVERED",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Covered")].status`,description="Whether the last run that ended checked every image"
// +kubebuilder:printcolumn:name="READY",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="What it does, or why it does not"
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type ScanSchedule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says when to scan what.
	// +required
	Spec ScanScheduleSpec `json:"spec"`
	// status says what came of it.
	// +optional
	Status ScanScheduleStatus `json:"status,omitzero"`
}

// ScanScheduleList is a list of ScanSchedules.
//
// +kubebuilder:object:root=true
type ScanScheduleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ScanSchedule `json:"items"`
}
