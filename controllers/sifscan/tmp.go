// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const (
	tmpVolume = "tmp"
	tmpDir    = "/tmp"
)

// defaultTmpLimit as the markers in api/v1alpha1 state it.
var defaultTmpLimit = resource.MustParse("10Gi")

// besides is what a pod keeps on its node's disk besides tmp and the volumes of the handover: the engine's
// program, and the logs of its containers, of which kubelet keeps 50 MiB each by default.
var besides = resource.MustParse("1Gi")

// memoryBesides is the least that scanner and engine need besides what they write to a tmp in memory.
var memoryBesides = resource.MustParse("512Mi")

// usesTmp reports whether a scan extracts images, or fetches them from a registry.
func usesTmp(spec *v1alpha1.SIFScanSpec) bool {
	engine := resolve(spec).Engine
	return engine == v1alpha1.EngineQscanner || engine == v1alpha1.EngineTrivy || spec.Target.Image != nil ||
		spec.Target.List != nil && asksForTmp(&spec.Tmp) // a list may name images in registries
}

// asksForTmp reports whether a spec says anything of tmp.
func asksForTmp(t *v1alpha1.Tmp) bool {
	return t.SizeLimit != nil || t.Medium != "" || t.VolumeClaimTemplate != nil
}

// tmpLimit is the most that one image may take.
func tmpLimit(t *v1alpha1.Tmp) resource.Quantity {
	switch {
	case t.SizeLimit != nil:
		return t.SizeLimit.DeepCopy()
	case t.VolumeClaimTemplate != nil:
		return t.VolumeClaimTemplate.Spec.Resources.Requests.Storage.DeepCopy()
	}
	return defaultTmpLimit.DeepCopy()
}

// tmp is the scratch space of scans that extract images.
func (in JobInputs) tmp() part {
	if !usesTmp(&in.Scan.Spec) {
		return part{}
	}
	t := &in.Scan.Spec.Tmp
	limit := tmpLimit(t)
	volume := corev1.Volume{Name: tmpVolume}
	if template := t.VolumeClaimTemplate; template != nil {
		volume.Ephemeral = &corev1.EphemeralVolumeSource{VolumeClaimTemplate: claimTemplate(&template.Spec)}
	} else {
		volume.EmptyDir = &corev1.EmptyDirVolumeSource{Medium: t.Medium, SizeLimit: &limit}
	}
	return part{
		volumes: []corev1.Volume{volume},
		mounts:  []corev1.VolumeMount{{Name: tmpVolume, MountPath: tmpDir}},
		args:    []string{"--tmp-dir=" + tmpDir, "--tmp-limit=" + limit.String()},
	}
}

func claimTemplate(spec *v1alpha1.TmpClaimSpec) *corev1.PersistentVolumeClaimTemplate {
	spec = spec.DeepCopy()
	modes := spec.AccessModes
	if len(modes) == 0 {
		modes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	}
	return &corev1.PersistentVolumeClaimTemplate{Spec: corev1.PersistentVolumeClaimSpec{
		StorageClassName: spec.StorageClassName,
		AccessModes:      modes,
		Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: spec.Resources.Requests.Storage},
		},
	}}
}

// tmpOnNode is what tmp may take of the node's disk; zero where it is elsewhere, or there is none.
func tmpOnNode(spec *v1alpha1.SIFScanSpec) resource.Quantity {
	if !usesTmp(spec) || spec.Tmp.VolumeClaimTemplate != nil || spec.Tmp.Medium == corev1.StorageMediumMemory {
		return resource.Quantity{}
	}
	return tmpLimit(&spec.Tmp)
}

// withDisk asks for the disk of tmp. Kubelet evicts a pod that keeps more on its node (emptyDir volumes, logs,
// what is written into containers) than the limits of its containers add up to, so the scanner's is for all of it.
func withDisk(out corev1.ResourceRequirements, spec *v1alpha1.SIFScanSpec) corev1.ResourceRequirements {
	tmp := tmpOnNode(spec)
	if tmp.IsZero() {
		return out
	}
	if _, ok := out.Limits[corev1.ResourceEphemeralStorage]; !ok {
		out.Limits[corev1.ResourceEphemeralStorage] = diskOf(tmp)
	}
	if _, ok := out.Requests[corev1.ResourceEphemeralStorage]; !ok {
		out.Requests[corev1.ResourceEphemeralStorage] = tmp
	}
	return out
}

// diskOf is what a pod with such a tmp may keep on its node.
func diskOf(tmp resource.Quantity) resource.Quantity {
	all := tmp.DeepCopy()
	for _, q := range []resource.Quantity{resultsLimit, stateLimit, besides} {
		all.Add(q)
	}
	return all
}

// checkTmp refuses a tmp that does not fit into the scanner's limits, under which a pod would be evicted or killed.
func checkTmp(spec *v1alpha1.SIFScanSpec) error {
	if !usesTmp(spec) {
		return nil
	}
	limit := tmpLimit(&spec.Tmp)
	refuse := func(format string, args ...any) error {
		return &hold{stalled: true, reason: v1alpha1.ReasonInvalidSpec, message: fmt.Sprintf(format, args...)}
	}
	if spec.Tmp.Medium == corev1.StorageMediumMemory {
		memory := scannerResources(spec.Resources).Limits[corev1.ResourceMemory]
		least := limit.DeepCopy()
		if least.Add(memoryBesides); memory.Cmp(least) < 0 {
			return refuse("spec.tmp.sizeLimit of %s with medium Memory counts against spec.resources.limits.memory, which is %s: raise that to %s at least, or lower sizeLimit",
				limit.String(), memory.String(), least.String())
		}
	}
	if tmp := tmpOnNode(spec); !tmp.IsZero() {
		least := diskOf(tmp)
		if disk, ok := spec.Resources.Limits[corev1.ResourceEphemeralStorage]; ok && disk.Cmp(least) < 0 {
			return refuse("spec.resources.limits.ephemeral-storage is %s, and spec.tmp.sizeLimit of %s with what else the pod keeps on its node makes %s: remove the limit, or raise it",
				disk.String(), limit.String(), least.String())
		}
	}
	return nil
}
