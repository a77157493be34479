// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import "k8s.io/apimachinery/pkg/api/resource"

// Setter is who sets what limits a scan: messages name what he can change.
type Setter int

// Who sets limits.
const (
	// BySIFScan: fields of a SIFScan, or flags of the command line.
	BySIFScan Setter = iota
	// ByOperator: flags of the operator. A SIFScan of running containers may not say what its pods take of a node.
	ByOperator
)

// RaiseTmp says what gives a scan more disk.
func (s Setter) RaiseTmp() string {
	return s.raise("spec.tmp.sizeLimit (--tmp-limit)", "--node-scans-tmp-limit")
}

// Twice is the next value to try of a limit in bytes; empty where it has none.
func Twice(limit int64) string {
	const mebi = 1 << 20
	if limit <= 0 {
		return ""
	}
	return ", for instance to " + resource.NewQuantity((2*limit+mebi-1)/mebi*mebi, resource.BinarySI).String()
}

// Tmp names where images are extracted.
func (s Setter) Tmp() string {
	if s == ByOperator {
		return "tmp of the node's pod"
	}
	return "spec.tmp"
}

// RaiseMemory says what gives a scan more memory.
func (s Setter) RaiseMemory() string {
	return s.raise("spec.resources.limits.memory", "--node-scans-memory-limit")
}

func (s Setter) raise(field, flag string) string {
	if s == ByOperator {
		return "ask the operator's administrator to raise " + flag
	}
	return "raise " + field
}

// NativeDatabase names what chooses the database of the native engine.
func (s Setter) NativeDatabase() string {
	if s == ByOperator {
		return "the operator's --database-claim"
	}
	return "spec.scanner.native.database, --db"
}

// TrivyDatabase names what chooses the cache directory of trivy.
func (s Setter) TrivyDatabase() string {
	if s == ByOperator {
		return "the operator's --node-scans-trivy-database-claim"
	}
	return "--db, spec.scanner.trivy.database"
}
