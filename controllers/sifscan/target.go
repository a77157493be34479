// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const (
	listVolume       = "list"
	listDir          = "/list"
	registryCAVolume = "registry-ca"
	registryCADir    = "/registry-ca"
)

// registryAuth is the scanner's variable with the credentials for registries.
const registryAuth = "SIFSCAN_REGISTRY_AUTH"

// targetClaim is a claim that is scanned.
type targetClaim struct {
	name, subPath string
	// mountPath is where users see it.
	mountPath string
	// field of the SIFScan that names it.
	field string
}

// claims are the claims that are scanned, in the order in which scanner and reporter number them.
func (s *settings) claims() []targetClaim {
	switch {
	case s.List != nil:
		claims := make([]targetClaim, len(s.List.Volumes))
		for i, v := range s.List.Volumes {
			claims[i] = targetClaim{v.ClaimName, "", v.MountPath, fmt.Sprintf("spec.target.list.volumes[%d].claimName", i)}
		}
		return claims
	case s.Directory != nil:
		return []targetClaim{{s.Directory.ClaimName, s.Directory.SubPath, "/", "spec.target.directory.claimName"}}
	case s.Image != nil, s.Running != nil:
		return nil
	}
	return []targetClaim{{s.ClaimName, s.SubPath, s.MountPath, "spec.target.volume.claimName"}}
}

// target is what is scanned.
func (in JobInputs) target() part {
	s := resolve(&in.Scan.Spec)
	p := mounted(s.claims())
	switch {
	case s.List != nil:
		return join(p, list(s.List), in.registryCA())
	case s.Directory != nil:
		return join(p, part{args: []string{"--kind=" + string(s.Directory.Kind)}, operands: literals([]string{s.Directory.Path})})
	case s.Image != nil:
		return join(p, image(s.Image), in.registryCA())
	}
	return join(p, files(s))
}

// mounted mounts claims, each at a directory of its own.
func mounted(claims []targetClaim) (p part) {
	for i, c := range claims {
		name, dir := targetVolume, targetDir
		if len(claims) > 1 {
			name, dir = fmt.Sprintf("%s-%d", name, i), fmt.Sprintf("%s-%d", dir, i)
		}
		p.volumes = append(p.volumes, claimVolume(name, c.name))
		p.mounts = append(p.mounts, corev1.VolumeMount{Name: name, MountPath: dir, SubPath: c.subPath, ReadOnly: true})
		p.args = append(p.args, "--volume="+dir+"="+literal(c.mountPath))
	}
	return p
}

// files are the files of a volume that are scanned.
func files(s settings) part {
	p := part{operands: literals(s.Paths)}
	for _, pattern := range s.Exclude {
		p.args = append(p.args, "--exclude="+literal(pattern))
	}
	for _, pattern := range s.FileNames {
		p.args = append(p.args, "--file-name="+literal(pattern))
	}
	return p
}

// list mounts the list. All keys of the ConfigMap: the agent says it when the one is missing that
// is asked for, where kubelet would only write an event.
func list(l *v1alpha1.ListTarget) part {
	return part{
		volumes: []corev1.Volume{{Name: listVolume, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: l.ConfigMap.Name},
		}}}},
		mounts: []corev1.VolumeMount{{Name: listVolume, MountPath: listDir, ReadOnly: true}},
		args:   []string{"--targets-file=" + path.Join(listDir, l.ConfigMap.Key)},
	}
}

// image is the reference, with the credentials for it in the scanner's environment. As a file they
// would leave a pod whose Secret is missing without a word in its status (only an event tells), and
// nobody can read the one who cannot read the other.
func image(i *v1alpha1.ImageTarget) part {
	p := part{operands: literals([]string{i.Reference})}
	if i.PullSecretName != "" {
		p.env = []corev1.EnvVar{{Name: registryAuth, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: i.PullSecretName},
			Key:                  corev1.DockerConfigJsonKey,
		}}}}
	}
	return p
}

// registryCA mounts the certificates of the site's registries; to kubelet they are optional, as the engine's are.
func (in JobInputs) registryCA() part {
	name := in.Config.RegistryCAConfigMap
	if name == "" {
		return part{}
	}
	return part{
		volumes: []corev1.Volume{{Name: registryCAVolume, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: name},
			Items:                []corev1.KeyToPath{{Key: caKey, Path: caKey}},
			Optional:             ptr.To(true),
		}}}},
		mounts: []corev1.VolumeMount{{Name: registryCAVolume, MountPath: registryCADir, ReadOnly: true}},
		args:   []string{"--registry-ca-file=" + path.Join(registryCADir, caKey)},
	}
}

// describe says in words what is scanned, and which fields say what of it.
func (s *settings) describe() (what, fields string) {
	switch {
	case s.List != nil:
		return fmt.Sprintf("the list in ConfigMap %s (key %s)", s.List.ConfigMap.Name, s.List.ConfigMap.Key), "the list and spec.target.list.volumes"
	case s.Directory != nil:
		return fmt.Sprintf("directory %s of claim %s", printable(s.Directory.Path, maxDetail), s.Directory.ClaimName), "spec.target.directory"
	case s.Running != nil:
		return "the selected nodes", "spec.target.running"
	case s.Image != nil:
		return "image " + printable(s.Image.Reference, maxDetail), "spec.target.image.reference"
	}
	return "claim " + s.ClaimName, fmt.Sprintf("spec.target.volume.paths (%s), exclude and fileNames", printable(strings.Join(s.Paths, ", "), maxDetail))
}
