// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// part is what one concern of a scan adds to its pod: the target, the engine.
type part struct {
	volumes []corev1.Volume
	// before run to their end, one after the other, before reporter and scanner start.
	before []corev1.Container
	// mounts, env and args of the scanner.
	mounts []corev1.VolumeMount
	env    []corev1.EnvVar
	args   []string
	// operands end the scanner's command line.
	operands []string
}

// join adds up parts, in their order.
func join(parts ...part) (all part) {
	for _, p := range parts {
		all.volumes = append(all.volumes, p.volumes...)
		all.before = append(all.before, p.before...)
		all.mounts = append(all.mounts, p.mounts...)
		all.env = append(all.env, p.env...)
		all.args = append(all.args, p.args...)
		all.operands = append(all.operands, p.operands...)
	}
	return all
}

// claimVolume mounts a claim that nothing of the pod writes to.
func claimVolume(name, claim string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim, ReadOnly: true},
	}}
}

// literal protects text from kubelet, which replaces $(NAME) in arguments by the container's
// environment and $$ by $ (kubernetes, third_party/forked/golang/expansion).
func literal(s string) string {
	return strings.ReplaceAll(s, "$", "$$")
}

func literals(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = literal(s)
	}
	return out
}
