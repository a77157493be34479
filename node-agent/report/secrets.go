// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

// Secrets turns secrets into findings of a report: key and path, and nothing of the credential.
func Secrets(found []engine.Secret, at metav1.Time) []v1alpha1.Finding {
	list := make([]v1alpha1.Finding, len(found))
	for i, key := range SecretKeys(found) {
		list[i] = v1alpha1.Finding{Key: key, Path: found[i].Path, DetectedBy: string(engine.ScanSecrets), FirstSeen: at}
	}
	return list
}

func isSecret(f v1alpha1.Finding) bool { return f.DetectedBy == string(engine.ScanSecrets) }

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
