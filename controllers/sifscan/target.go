// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import corev1 "k8s.io/api/core/v1"

// target is the volume that is scanned, and which of its files.
func (in JobInputs) target() part {
	s := resolve(&in.Scan.Spec)
	p := part{
		volumes:  []corev1.Volume{claimVolume(targetVolume, s.ClaimName)},
		mounts:   []corev1.VolumeMount{{Name: targetVolume, MountPath: targetDir, SubPath: s.SubPath, ReadOnly: true}},
		args:     []string{"--volume-root=" + targetDir, "--mount-path=" + literal(s.MountPath)},
		operands: literals(s.Paths),
	}
	for _, pattern := range s.Exclude {
		p.args = append(p.args, "--exclude="+literal(pattern))
	}
	for _, pattern := range s.FileNames {
		p.args = append(p.args, "--file-name="+literal(pattern))
	}
	return p
}
