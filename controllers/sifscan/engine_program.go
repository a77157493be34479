// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const (
	engineVolume = "engine"
	engineDir    = "/engine"
	// agentCopy is the agent in that volume, to copy with where an image has no shell.
	agentCopy = engineDir + "/node-agent"
)

// Containers that copy the engine.
const (
	copyAgentContainer  = "copy-agent"
	copyEngineContainer = "copy-engine"
)

// engineLimit is for the agent of some 80 MB and trivy of 170 MB, or what they become.
var engineLimit = resource.MustParse("768Mi")

// copyResources are enough for a copy, which holds one buffer at a time.
var copyResources = corev1.ResourceRequirements{
	Requests: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("10m"),
		corev1.ResourceMemory: resource.MustParse("32Mi"),
	},
	Limits: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("1"),
		corev1.ResourceMemory: resource.MustParse("128Mi"),
	},
}

// program is the engine's program. From an image of its own it is copied into a volume that the scanner
// reads; that image may hold nothing but the program, so the agent, which is static, is brought along to copy it.
func (in JobInputs) program(e v1alpha1.Engine, b Binary) part {
	at := b.Path
	var p part
	if b.Image != "" {
		at = path.Join(engineDir, string(e))
		limit := engineLimit
		p = part{
			volumes: []corev1.Volume{{Name: engineVolume, VolumeSource: corev1.VolumeSource{
				EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit},
			}}},
			before: []corev1.Container{
				copier(copyAgentContainer, in.Config.AgentImage, nil, "/proc/self/exe", agentCopy),
				copier(copyEngineContainer, b.Image, []string{agentCopy}, b.Path, at),
			},
			mounts: []corev1.VolumeMount{{Name: engineVolume, MountPath: engineDir, ReadOnly: true}},
		}
	}
	p.args = append(p.args, "--"+string(e)+"-binary="+literal(at))
	if b.SHA256 != "" {
		p.args = append(p.args, "--"+string(e)+"-sha256="+b.SHA256)
	}
	return p
}

// copier copies a file of an image into the engine's volume.
func copier(name, image string, command []string, from, to string) corev1.Container {
	return corev1.Container{
		Name:            name,
		Image:           image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         command,
		Args:            []string{"copy", literal(from), to},
		Env:             goEnv(copyResources.Limits),
		Resources:       *copyResources.DeepCopy(),
		SecurityContext: containerSecurity(),
		VolumeMounts:    []corev1.VolumeMount{{Name: engineVolume, MountPath: engineDir}},
		// What it prints last tells why it failed.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}

// databasePart mounts the claim of a database.
func databasePart(claim string) part {
	return part{
		volumes: []corev1.Volume{claimVolume(databaseVolume, claim)},
		mounts:  []corev1.VolumeMount{{Name: databaseVolume, MountPath: databaseDir, ReadOnly: true}},
	}
}
