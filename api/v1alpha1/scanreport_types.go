// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Report is what is known of one image.
type Report struct {
	// target says which file this is about.
	// +required
	Target ReportTarget `json:"target"`
	// image describes the container format.
	// +optional
	Image *ReportImage `json:"image,omitempty"`
	// os is the operating system inside the image; absent when none was recognised.
	// +optional
	OS *ReportOS `json:"os,omitempty"`
	// scanner says what read the image.
	// +required
	Scanner ReportScanner `json:"scanner"`
	// outcome says whether the image could be read.
	// +required
	Outcome Outcome `json:"outcome"`
	// summary counts packages and findings; absent when the image could not be read.
	// +optional
	Summary *Summary `json:"summary,omitempty"`
	// findings, the most severe first, then credentials; at most spec.reports.maxFindings, of which
	// credentials take up to a quarter where there are more vulnerabilities than that.
	// +optional
	// +kubebuilder:validation:MaxItems=500
	// +listType=atomic
	Findings []Finding `json:"findings,omitempty"`
	// truncated is the number of findings that are counted and not listed.
	// +optional
	Truncated int32 `json:"truncated,omitempty"`
	// artifacts are the documents kept for this image.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Artifacts []Artifact `json:"artifacts,omitempty"`
	// runningExamples are places where the image ran when it was last opened. ScanInventories have all.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	RunningExamples []RunningExample `json:"runningExamples,omitempty"`
	// observedAt is when the image was last opened.
	// +required
	ObservedAt metav1.Time `json:"observedAt"`
}

// ReportTarget says which image a report is about. Bytes of a path that are not printable are
// escaped as \xNN.
type ReportTarget struct {
	// kind of the target as found by its content: sif, squashfs or sandbox; file when it was
	// not recognised; oci for an image in a registry, directory and repo for a directory.
	Kind string `json:"kind"`
	// claimName of the volume the file is on; empty when it is on none.
	// +optional
	ClaimName string `json:"claimName,omitempty"`
	// path as users know it; the reference of an image in a registry.
	Path string `json:"path"`
	// node on which the image of a live container was read.
	// +optional
	Node string `json:"node,omitempty"`
	// reference of an image in a registry, as it was asked for.
	// +optional
	Reference string `json:"reference,omitempty"`
	// digest of the manifest that was read, of an image in a registry.
	// +optional
	Digest string `json:"digest,omitempty"`
	// sizeBytes of the file; of an image in a registry, of its layers as they are transferred.
	SizeBytes int64 `json:"sizeBytes"`
	// modTime of the file.
	// +optional
	ModTime *metav1.Time `json:"modTime,omitempty"`
	// uid that owns the file.
	UID int64 `json:"uid"`
	// gid that owns the file.
	GID int64 `json:"gid"`
	// mode bits of the file, octal, such as 0644.
	// +optional
	Mode string `json:"mode,omitempty"`
	// architecture the image was made for, in Go's names, such as amd64.
	// +optional
	Architecture string `json:"architecture,omitempty"`
}

// ReportImage describes the container format.
type ReportImage struct {
	// format of the image: sif, squashfs, sandbox, directory or oci.
	Format string `json:"format"`
	// compression of the root filesystem, such as gzip or zstd.
	// +optional
	Compression string `json:"compression,omitempty"`
	// partitions and other data objects of a SIF, in file order.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=atomic
	Partitions []string `json:"partitions,omitempty"`
	// labels of the image, written by its author.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Labels map[string]string `json:"labels,omitempty"`
	// signatures found, by key fingerprint. They are not verified.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Signatures []string `json:"signatures,omitempty"`
	// layers of an image in a registry, by digest, the lowest first.
	// +optional
	// +kubebuilder:validation:MaxItems=128
	// +listType=atomic
	Layers []string `json:"layers,omitempty"`
}

// ReportOS is the operating system inside the image, from its os-release.
type ReportOS struct {
	// family is os-release's ID, such as debian.
	Family string `json:"family"`
	// version is os-release's VERSION_ID, such as "12".
	// +optional
	Version string `json:"version,omitempty"`
	// name is os-release's PRETTY_NAME.
	// +optional
	Name string `json:"name,omitempty"`
}

// ReportScanner says what read the image.
type ReportScanner struct {
	// engine that read the image.
	Engine string `json:"engine"`
	// version of the engine.
	// +optional
	Version string `json:"version,omitempty"`
	// database of vulnerabilities that packages were matched with; absent when nothing was matched.
	// +optional
	Database *ReportDatabase `json:"database,omitempty"`
	// bytesRead from the image file.
	// +optional
	BytesRead int64 `json:"bytesRead,omitempty"`
	// duration of the scan.
	// +optional
	Duration *metav1.Duration `json:"duration,omitempty"`
}

// ReportDatabase is a database of vulnerabilities.
type ReportDatabase struct {
	// digest of its content.
	Digest string `json:"digest"`
	// updatedAt is when its newest record was last modified.
	// +optional
	UpdatedAt *metav1.Time `json:"updatedAt,omitempty"`
}

// Finding is one vulnerability of one package, or a place where a credential lies.
type Finding struct {
	// key identifies the finding in every scan of the image: the vulnerability, by its CVE, else the
	// name of the advisory, and the package without its version; secret/, rule and path of a credential.
	Key string `json:"key"`
	// ids are the vulnerability's names; none where it has no such name, see key.
	// +optional
	IDs FindingIDs `json:"ids,omitzero"`
	// package that has the vulnerability; none for a credential.
	// +optional
	Package string `json:"package,omitempty"`
	// version of the package.
	// +optional
	Version string `json:"version,omitempty"`
	// purl is the package URL.
	// +optional
	PURL string `json:"purl,omitempty"`
	// path of the file in the image that told of the package, or that holds the credential.
	// +optional
	Path string `json:"path,omitempty"`
	// severity: critical, high, medium, low or unknown. Absent for a credential, which nobody rates.
	// +optional
	// +kubebuilder:validation:Enum=critical;high;medium;low;unknown
	Severity string `json:"severity,omitempty"`
	// score is the CVSS base score, such as "9.8"; empty when there is none.
	// +optional
	Score string `json:"score,omitempty"`
	// fixedVersion is the first version with the fix; empty when there is none.
	// +optional
	FixedVersion string `json:"fixedVersion,omitempty"`
	// detectedBy is the scan type that found it: pkg, or secret for a credential.
	DetectedBy string `json:"detectedBy"`
	// firstSeen is when a scan of this image first found it.
	FirstSeen metav1.Time `json:"firstSeen"`
}

// FindingIDs are the names of a vulnerability.
type FindingIDs struct {
	// cve such as CVE-2024-3094.
	// +optional
	CVE string `json:"cve,omitempty"`
	// qid of Qualys.
	// +optional
	QID string `json:"qid,omitempty"`
	// ghsa such as GHSA-jfh8-c2jp-5v3q.
	// +optional
	GHSA string `json:"ghsa,omitempty"`
}

// Outcome says whether the image could be read.
type Outcome struct {
	// reason why the image was not scanned; empty when it was.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message for people.
	// +optional
	Message string `json:"message,omitempty"`
	// coverage of the content: complete or partial; of a live container also unreachable, where
	// nothing could be opened, and vanished, where it ended first; empty when nothing was read.
	// +optional
	Coverage string `json:"coverage,omitempty"`
}

// Coverage of an image's content.
const (
	CoverageComplete = "complete"
	CoveragePartial  = "partial"
	// CoverageUnreachable: the content of a live container could not be opened.
	CoverageUnreachable = "unreachable"
	// CoverageVanished: the container ended before its content was read.
	CoverageVanished = "vanished"
)

// RunningExample is a place where an image ran.
type RunningExample struct {
	// node that it ran on.
	Node string `json:"node"`
	// user id that it ran as.
	User int64 `json:"user"`
	// slurmJob that it ran in; empty outside of Slurm.
	// +optional
	SlurmJob string `json:"slurmJob,omitempty"`
	// observedAt is when it was seen.
	ObservedAt metav1.Time `json:"observedAt"`
}

// MaxRunningExamples is the largest number of examples in a report.
const MaxRunningExamples = 20

// Artifact is a document kept for an image.
type Artifact struct {
	// name of the document, such as sbom.spdx.json. In the ConfigMap, the key is this name
	// with .gz; on a volume it is the file's name.
	Name string `json:"name"`
	// mediaType of the document once decompressed.
	MediaType string `json:"mediaType"`
	// configMap that holds the document, in the report's namespace.
	// +optional
	ConfigMap string `json:"configMap,omitempty"`
	// volumePath of the document on the volume that spec.reports.volume names, from its root.
	// +optional
	VolumePath string `json:"volumePath,omitempty"`
	// sha256 of the document once decompressed, hexadecimal.
	SHA256 string `json:"sha256"`
	// sizeBytes of the document once decompressed.
	SizeBytes int64 `json:"sizeBytes"`
}

// ScanReport is what is known of one image now. The next scan updates it in place.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=sreport
// +kubebuilder:printcolumn:name="TARGET",type=string,JSONPath=`.report.target.path`,description="The file, as users know it"
// +kubebuilder:printcolumn:name="OS",type=string,JSONPath=`.report.os.family`,description="Operating system in the image"
// +kubebuilder:printcolumn:name="OUTCOME",type=string,JSONPath=`.metadata.annotations.sifscan\.io/outcome`,description="scanned, or why not"
// +kubebuilder:printcolumn:name="CRITICAL",type=integer,JSONPath=`.report.summary.critical`,description="Critical findings; empty: not assessed"
// +kubebuilder:printcolumn:name="HIGH",type=integer,JSONPath=`.report.summary.high`,description="High findings; empty: not assessed"
// +kubebuilder:printcolumn:name="PACKAGES",type=integer,JSONPath=`.report.summary.packages`,description="Packages found"
// +kubebuilder:printcolumn:name="OWNER",type=integer,JSONPath=`.report.target.uid`,description="uid that owns the file"
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type ScanReport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Atomic: metadata.managedFields would list its fields one by one, 0.7 KiB of each ScanReport in etcd, and it has one writer.

	// report is what is known of the image.
	// +required
	// +structType=atomic
	Report Report `json:"report"`
}

// ScanReportList is a list of ScanReports.
//
// +kubebuilder:object:root=true
type ScanReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ScanReport `json:"items"`
}
