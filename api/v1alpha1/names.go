// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types of a SIFScan. Ready, Reconciling and Stalled have the meaning that
// kstatus gives them (sigs.k8s.io/cli-utils, pkg/kstatus); Reconciling, Stalled, Degraded
// and Partial are present only while they are true.
const (
	ConditionReady       = "Ready"
	ConditionReconciling = "Reconciling"
	ConditionStalled     = "Stalled"
	// ConditionComplete is for kubectl wait: true once the run of this spec ended with
	// every target accounted for.
	ConditionComplete = "Complete"
	// ConditionDegraded: single images failed or were not supported.
	ConditionDegraded = "Degraded"
	// ConditionPolicyPassed: every image is within spec.policy; false if one is not, unknown
	// where images were not assessed. Absent without a policy.
	ConditionPolicyPassed = "PolicyPassed"
	// ConditionCovered: the last run that ended checked every image. Its transition time is when it ended, its
	// message tells the share that was checked.
	ConditionCovered = "Covered"
	// ConditionPartial: files or directories were denied, or images changed while read.
	ConditionPartial = "Partial"
)

// Reasons of conditions and of image outcomes.
const (
	// ReasonSucceeded: the run ended and every target was read.
	ReasonSucceeded = "Succeeded"
	// ReasonRunning: the Job of the run is at work.
	ReasonRunning = "Running"

	// The spec was refused; it stays so until the spec changes.

	ReasonInvalidSpec     = "InvalidSpec"
	ReasonInvalidSchedule = "InvalidSchedule"
	ReasonNotAllowed      = "NotAllowed"

	// Waiting for something that may still come.

	// ReasonQueued: other scans have the slots; the message names which.
	ReasonQueued             = "Queued"
	ReasonSuspended          = "Suspended"
	ReasonVolumeNotFound     = "VolumeNotFound"
	ReasonCredentialsMissing = "CredentialsMissing"
	ReasonUnschedulable      = "Unschedulable"
	ReasonImagePullFailed    = "ImagePullFailed"

	// Terminal, of one image or of the run.

	ReasonNoTargets        = "NoTargets"
	ReasonCorruptImage     = "CorruptImage"
	ReasonUnsupported      = "Unsupported"
	ReasonIncomplete       = "Incomplete"
	ReasonPermissionDenied = "PermissionDenied"
	ReasonTmpTooSmall      = "TmpTooSmall"
	ReasonEmptyInventory   = "EmptyInventory"
	ReasonEngineFailed     = "EngineFailed"

	// Retried with a bounded back-off.

	ReasonOOMKilled = "OOMKilled"
	ReasonEvicted   = "Evicted"
	// ReasonNodeGone: the pod's node does not answer any more.
	ReasonNodeGone           = "NodeGone"
	ReasonDeadlineExceeded   = "DeadlineExceeded"
	ReasonBackendUnreachable = "BackendUnreachable"
	ReasonReportUnavailable  = "ReportUnavailable"
	ReasonChanging           = "Changing"

	// Of nodes.

	// ReasonNoContainers: nothing of Apptainer or Singularity is alive on the node. No failure.
	ReasonNoContainers = "NoContainers"
	// ReasonNodeCordoned: the node is cordoned, or drained in Slurm.
	ReasonNodeCordoned = "NodeCordoned"
	// ReasonNodePolicyDenies: AppArmor, SELinux or Yama on the node refuse to show processes.
	ReasonNodePolicyDenies = "NodePolicyDenies"

	// Notes on a finished run.

	ReasonDegraded    = "Degraded"
	ReasonPartial     = "Partial"
	ReasonNotAssessed = "NotAssessed"
	// ReasonPartiallyAssessed: the database has nothing on some packages.
	ReasonPartiallyAssessed = "PartiallyAssessed"
	// ReasonDatabaseStale: the database's newest record is older than a week.
	ReasonDatabaseStale = "DatabaseStale"
	// ReasonPolicyDenied: an image has more findings than spec.policy allows.
	ReasonPolicyDenied     = "PolicyDenied"
	ReasonArtifactsNotKept = "ArtifactsNotKept"
)

// Labels on the objects of a scan.
const (
	// LabelScan is the SIFScan's name, cut and hashed to 63 characters where longer.
	LabelScan = "sifscan.io/scan"
	// LabelScanUID is the SIFScan's UID. Objects are correlated by it, never by name.
	LabelScanUID = "sifscan.io/scan-uid"
	// LabelSchedule is the name of the ScanSchedule that made a SIFScan, cut and hashed to 63
	// characters where longer.
	LabelSchedule = "sifscan.io/schedule"
	// LabelScheduleUID is the UID of that ScanSchedule.
	LabelScheduleUID = "sifscan.io/schedule-uid"
	// LabelScanNamespace is the SIFScan's namespace, on objects that are in another.
	LabelScanNamespace = "sifscan.io/scan-namespace"
	// LabelRun is the run's id.
	LabelRun = "sifscan.io/run"
	// LabelWorker is the index of the worker in its run.
	LabelWorker = "sifscan.io/worker"
	// LabelWorkers on a ScanInventory is how many workers its run has.
	LabelWorkers = "sifscan.io/workers"
	// LabelPlan on a ScanInventory marks a part of the list that the run's workers share: the
	// beginning of the list's SHA-256. Such an object is named <job>-plan, and holds no outcome.
	LabelPlan = "sifscan.io/plan"
	// LabelClaim is the claim's name, cut and hashed to 63 characters where longer.
	LabelClaim = "sifscan.io/claim"
	// LabelSlurmCluster and LabelSlurmNodeSet on a node's ScanInventory name the Slurm cluster and the
	// node set of the slurmd pod in which its containers run.
	LabelSlurmCluster = "sifscan.io/slurm-cluster"
	LabelSlurmNodeSet = "sifscan.io/slurm-nodeset"
	// LabelSlurmPod on a node's ScanInventory is the name of that pod, cut and hashed to 63
	// characters where longer.
	LabelSlurmPod = "sifscan.io/slurm-pod"
	// LabelEngine is the engine of a ScanReport.
	LabelEngine = "sifscan.io/engine"
	// LabelOwnerUID is the uid that owns the image file.
	LabelOwnerUID = "sifscan.io/owner-uid"
	// LabelArtifactOf is the ScanReport that an artifact ConfigMap belongs to.
	LabelArtifactOf = "sifscan.io/artifact-of"
	// LabelManagedBy with ManagedBy marks everything that the operator makes, so that its
	// caches hold nothing else.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = "sifscan-operator"
)

// Annotations.
const (
	// AnnotationRescanAt on a SIFScan starts a new run when its value changes.
	AnnotationRescanAt = "sifscan.io/rescan-at"
	// AnnotationRunNow on a ScanSchedule starts one run outside of the schedule when its value changes.
	AnnotationRunNow = "sifscan.io/run-now"
	// AnnotationScheduledAt on a SIFScan: when the run was due that it was made for, without
	// jitter, RFC 3339. Absent where AnnotationRunNow asked for it.
	AnnotationScheduledAt = "sifscan.io/scheduled-at"
	// AnnotationIdentity on a ScanReport: inode:size:mtime:ctime:settings[documents]:engine:db.
	AnnotationIdentity = "sifscan.io/identity"
	// AnnotationCounts on a ScanReport: critical/high/medium/low/unknown; absent when the
	// image was not assessed.
	AnnotationCounts = "sifscan.io/counts"
	// AnnotationDatabase on a ScanReport: when the newest record of the database was modified
	// that the image was matched with, RFC 3339.
	AnnotationDatabase = "sifscan.io/database-updated-at"
	// AnnotationFixable on a ScanReport: critical/high findings with a fix, then all that have one.
	AnnotationFixable = "sifscan.io/fixable"
	// AnnotationPackages on a ScanReport: packages/notAssessed.
	AnnotationPackages = "sifscan.io/packages"
	// AnnotationSecrets on a ScanReport: the number of secrets; absent when nobody looked for them.
	AnnotationSecrets = "sifscan.io/secrets"
	// AnnotationOutcome on a ScanReport: scanned, or the reason why not.
	AnnotationOutcome = "sifscan.io/outcome"
	// AnnotationPolicy on a ScanReport: PolicyDenied or PolicyAudit, the verdict of the engine's own
	// policy; absent when it passed or none was asked for.
	AnnotationPolicy = "sifscan.io/policy"
	// AnnotationArtifacts on a ScanReport: the ConfigMap that holds its documents, and its
	// size in bytes, as name/bytes.
	AnnotationArtifacts = "sifscan.io/artifacts"

	// AnnotationRun on a ScanReport: who wrote it last, as the UID of the SIFScan, "/" and its run.
	AnnotationRun = "sifscan.io/run"
	// AnnotationSuperseded on a ScanReport: names of artifact ConfigMaps that a newer scan of
	// the image replaced, separated by commas. The controller deletes them after the run.
	AnnotationSuperseded = "sifscan.io/superseded-artifacts"
	// AnnotationLastDeath on the first chunk of a worker's ScanInventory: reason and message,
	// separated by ": ", of the worker's last pod that died, written by the controller: of the last whose image may have
	// caused it, if there was one. The next pod's report of an image that killed its worker repeats it.
	AnnotationLastDeath = "sifscan.io/last-death"
	// AnnotationInHand on the first chunk of a worker's ScanInventory, written by the reporter while the first of
	// worker.inFlight is being read, or was when the pod ended: the UID of the pod, "/", and InHand….
	AnnotationInHand = "sifscan.io/in-hand"
	// AnnotationNotStored there, written by the reporter: the first image of whose result not even the failure can be stored,
	// and why, separated by ": ".
	AnnotationNotStored = "sifscan.io/not-stored"
	// AnnotationJudged there, written by the controller: the UID of the worker's last pod that died, "/", and Death….
	AnnotationJudged = "sifscan.io/last-death-of"

	// AnnotationProgress on each chunk of a worker's ScanInventory, written by the reporter: how many of the chunk's entries are
	// scanned/unchanged/failed/unsupported/denied/changing, and behind them, once they are listed, /targets of the worker.
	AnnotationProgress = "sifscan.io/progress"

	// AnnotationNode is the node that a Job in the namespace of node scans is for.
	AnnotationNode = "sifscan.io/node"
	// AnnotationNodeOutcome on the first chunk of a node's ScanInventory: what came of the node, a
	// reason, or a reason and a message separated by ": ", written by the controller.
	AnnotationNodeOutcome = "sifscan.io/node-outcome"
	// AnnotationNodeReading beside it: what kept the node from reading images whose containers it had listed, in the
	// same form; absent where nothing did.
	AnnotationNodeReading = "sifscan.io/node-reading"

	// AnnotationScope on a ScanReport names what the SIFScan looked for that wrote it: a hash of its
	// volume target. Only a run of the same scope can say that the image is gone.
	AnnotationScope = "sifscan.io/scope"
	// AnnotationMissedBy on a ScanReport: the complete run that saw the image's directory and not the
	// image, as AnnotationRun. Another such run deletes the report.
	AnnotationMissedBy = "sifscan.io/missed-by"
	// AnnotationPlanned on the first object of a list that workers share: targets/objects.
	AnnotationPlanned = "sifscan.io/planned"

	// AnnotationRunAsUser, -Group and AnnotationSupplementalGroups on a Namespace, which
	// only administrators can annotate, choose who reads the volumes in it.
	AnnotationRunAsUser          = "sifscan.io/run-as-user"
	AnnotationRunAsGroup         = "sifscan.io/run-as-group"
	AnnotationSupplementalGroups = "sifscan.io/supplemental-groups"
)

// What is known of the image in AnnotationInHand.
const (
	// InHandReading: the scanner reads it, for all that is known.
	InHandReading = "reading"
	// InHandReleased: the scanner was told to end, and said so.
	InHandReleased = "released"
	// InHandLost: the scanner ended without a word.
	InHandLost = "lost"
)

// What AnnotationJudged says of the end of a pod.
const (
	// DeathOfImage: the image that the pod had in hand may have caused it.
	DeathOfImage = "death"
	// DeathByDisruption: a drain, a preemption, a node that went away.
	DeathByDisruption = "disruption"
)

// OutcomeScanned is the value of AnnotationOutcome on the report of an image that was read.
const OutcomeScanned = "scanned"

// ReporterServiceAccount is the account of the reporter in every namespace that holds scans.
const ReporterServiceAccount = "sifscan-reporter"

// ReporterClusterRole is what ReporterServiceAccount is bound to, namespace by namespace.
const ReporterClusterRole = "sifscan-reporter"

// ArtifactPrefix begins the name of every artifact ConfigMap: prefix, report, content hash.
const ArtifactPrefix = "sifscan-"
