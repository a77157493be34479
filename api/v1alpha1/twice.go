// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"strings"
	"time"
)

// TwiceAsLong is the next value to try of a time that was too short, as messages advise it: "for instance to 1h".
func TwiceAsLong(limit time.Duration) string {
	text := (2 * limit).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return "for instance to " + text
}
