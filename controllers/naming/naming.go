// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package naming makes names of objects out of the names of others.
package naming

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Label returns a DNS label of at most room characters for a DNS subdomain; different names stay
// different. A name that is such a label already stays as it is. room is at least 12.
func Label(name string, room int) string {
	if len(name) <= room && !strings.Contains(name, ".") {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	tail := "-" + hex.EncodeToString(sum[:5])
	head := strings.ReplaceAll(name, ".", "-")
	head = head[:min(len(head), room-len(tail))]
	return strings.TrimRight(head, "-") + tail
}
