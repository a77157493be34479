// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Reasons of engines that are executed and of images in registries: the operating system as
// engines see it, disk space, and the services that are asked.
const (
	// ReasonOSNotFound: the engine found no operating system that it knows by its files.
	ReasonOSNotFound = "OSNotFound"
	// ReasonOSNotSupported: the engine knows the operating system and has no data on it.
	ReasonOSNotSupported = "OSNotSupported"
	// ReasonTmpExhausted: the engine was about to write more than the scan's tmp holds.
	ReasonTmpExhausted = "TmpExhausted"
	// ReasonUploadFailed: the image was read, and the engine's service did not take the result.
	ReasonUploadFailed = "UploadFailed"
	// ReasonCredentialsRejected: a registry or the engine's service refuses the credentials.
	ReasonCredentialsRejected = "CredentialsRejected"
	// ReasonPolicyAudit: the service's policy asks a person to look at the image.
	ReasonPolicyAudit = "PolicyAudit"
)
