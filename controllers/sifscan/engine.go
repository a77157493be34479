// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// engine is the engine, and what it needs to read images.
func (in JobInputs) engine() part {
	s := resolve(&in.Scan.Spec)
	p := part{args: []string{
		"--engine=" + string(s.Engine),
		"--formats=" + strings.Join(s.Formats, ","),
		"--timeout=" + s.Timeout.String(),
	}}
	if in.Database != nil {
		p = join(p, part{
			volumes: []corev1.Volume{claimVolume(databaseVolume, in.Database.ClaimName)},
			mounts:  []corev1.VolumeMount{{Name: databaseVolume, MountPath: databaseDir, ReadOnly: true}},
			args:    []string{"--db=" + databaseDir + "/" + literal(in.Database.Path)},
		})
	}
	return p
}
