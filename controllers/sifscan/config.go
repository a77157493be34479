// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

// OperatorConfig is what the administrator decides for every scan; nothing in a SIFScan overrides it.
type OperatorConfig struct {
	// AgentImage runs as scanner and as reporter.
	AgentImage string
	// Identity reads the volumes where the Namespace's annotations do not say otherwise.
	Identity Identity
}
