// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/controllers/naming"
)

// maxNodeScanName is what a node Job's name has of the SIFScan's: with the run's id and a hash it
// takes 57 characters at most, which leaves room for what the Job controller appends for pods.
const maxNodeScanName = 26

// nodeAccount is the name of a run's ServiceAccount in the namespace of node scans, and behind
// bindingPrefix that of its RoleBinding. Admission lets the account write what is of this UID only.
func nodeAccount(scan types.UID, run string) string {
	_, id, _ := strings.Cut(run, "-")
	return "reporter-" + string(scan) + "-" + id
}

// bindingPrefix begins the names of RoleBindings of node scans in the namespaces of SIFScans. The
// operator may delete no other (config/admission).
const bindingPrefix = "sifscan-node-"

// nodeJobName returns the name of the Job that does some work on a node: what is "n" where it
// lists containers, and "s" where it reads images. The hash keeps SIFScans of the same name in
// different namespaces apart.
func nodeJobName(scanName string, scan types.UID, run, what string, work ...string) string {
	_, id, _ := strings.Cut(run, "-")
	sum := sha256.Sum256([]byte(string(scan) + "\x00" + strings.Join(work, "\x00")))
	return naming.Label(scanName, maxNodeScanName) + "-" + id + "-" + what + "-" + hex.EncodeToString(sum[:5])
}
