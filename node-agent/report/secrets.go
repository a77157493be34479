// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// SecretKeys identify secrets in every scan of an image: by rule and path, and the number of the
// secret among its like. The line is no part of it, for it moves with what is written above.
func SecretKeys(secrets []engine.Secret) []string {
	keys := make([]string, len(secrets))
	seen := map[string]int{}
	for i, s := range secrets {
		keys[i] = "secret/" + s.Rule + " " + s.Path
		if seen[keys[i]]++; seen[keys[i]] > 1 {
			keys[i] += fmt.Sprintf(" #%d", seen[keys[i]])
		}
	}
	return keys
}
