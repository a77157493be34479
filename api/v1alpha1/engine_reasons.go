// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Reasons that only engines which are executed give: the operating system as they see it, their
// disk space, and the service that some of them report to.
const (
	// ReasonOSNotFound: the engine found no operating system that it knows by its files.
	ReasonOSNotFound = "OSNotFound"
	// ReasonOSNotSupported: the engine knows the operating system and has no data on it.
	ReasonOSNotSupported = "OSNotSupported"
	// ReasonTmpExhausted: the engine was about to write more than the scan's tmp holds.
	ReasonTmpExhausted = "TmpExhausted"
	// ReasonUploadFailed: the image was read, and the engine's service did not take the result.
	ReasonUploadFailed = "UploadFailed"
	// ReasonPolicyAudit: the service's policy asks a person to look at the image.
	ReasonPolicyAudit = "PolicyAudit"
)
