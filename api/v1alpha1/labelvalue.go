// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxLabelValue is Kubernetes' limit for the value of a label.
const maxLabelValue = 63

// LabelValue returns the label value that stands for an object's name: the name itself, or
// where it is longer than 63 characters its beginning with a hash of the whole.
func LabelValue(name string) string {
	return CutName(name, maxLabelValue)
}

// CutName returns name if it has at most limit characters, or its beginning, '-' and ten
// hexadecimal digits of its hash, so that different long names stay different.
func CutName(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	tail := "-" + hex.EncodeToString(sum[:5])
	return strings.TrimRight(name[:limit-len(tail)], "-.") + tail
}
