// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import "github.com/sifscan/sifscan-operator/api/v1alpha1"

// OperatorConfig is what the administrator decides for every scan; nothing in a SIFScan overrides it.
type OperatorConfig struct {
	// AgentImage runs as scanner and as reporter.
	AgentImage string
	// Identity reads the volumes where the Namespace's annotations do not say otherwise.
	Identity Identity
	// Database is what scans match packages with that name none: a file on a claim of this name
	// in the scan's namespace. Where the namespace has no such claim, nothing is assessed. Nil: none.
	Database *v1alpha1.DatabaseSource
}
