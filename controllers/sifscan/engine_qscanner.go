// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"path"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const (
	caVolume     = "engine-ca"
	caDir        = "/engine-ca"
	caKey        = "ca.crt"
	javaDBVolume = "java-db"
	javaDBDir    = "/java-db"
)

// qscanner is the program with its configuration: the administrator's, and what the SIFScan chooses.
func (in JobInputs) qscanner(s settings) part {
	c, q := in.Config.Qscanner, s.Qscanner
	p := part{args: []string{"--mode=" + string(q.Mode)}}
	for _, option := range []struct{ flag, value string }{
		{"--platform", q.Platform},
		{"--gateway-url", literal(c.GatewayURL)},
		{"--proxy", literal(c.Proxy)},
		{"--report-waits", durations(c.ReportWaits)},
	} {
		if option.value != "" {
			p.args = append(p.args, option.flag+"="+option.value)
		}
	}
	for _, tag := range q.PolicyTags {
		p.args = append(p.args, "--policy-tags="+literal(string(tag)))
	}
	if s.Offline {
		p.args = append(p.args, "--offline")
	}
	return join(in.program(s.Engine, c.Binary), p, in.credentials(q), in.privateCA(), in.javaDB())
}

// credentials hands the token to the scanner alone, in its environment: every user of a node may read
// a command line. A Secret that is missing keeps kubelet from starting the scanner, which goes on once it is there.
func (in JobInputs) credentials(q *v1alpha1.QscannerEngine) part {
	if q.Mode == v1alpha1.QscannerInventoryOnly {
		return part{}
	}
	return part{env: []corev1.EnvVar{{
		Name: v1alpha1.QscannerTokenKey,
		ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: q.CredentialsSecretName},
			Key:                  v1alpha1.QscannerTokenKey,
		}},
	}}}
}

// privateCA mounts the certificates of a private CA. It is optional to kubelet: of a ConfigMap that is
// missing only an event would tell, while the agent says which one it misses.
func (in JobInputs) privateCA() part {
	name := in.Config.Qscanner.CAConfigMap
	if name == "" {
		return part{}
	}
	return part{
		volumes: []corev1.Volume{{Name: caVolume, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: name},
			Items:                []corev1.KeyToPath{{Key: caKey, Path: caKey}},
			Optional:             ptr.To(true),
		}}}},
		mounts: []corev1.VolumeMount{{Name: caVolume, MountPath: caDir, ReadOnly: true}},
		args:   []string{"--ca-file=" + path.Join(caDir, caKey)},
	}
}

// javaDB mounts the site's Java database, where the namespace has it.
func (in JobInputs) javaDB() part {
	if in.JavaDB == nil {
		return part{}
	}
	return part{
		volumes: []corev1.Volume{claimVolume(javaDBVolume, in.JavaDB.ClaimName)},
		mounts:  []corev1.VolumeMount{{Name: javaDBVolume, MountPath: javaDBDir, ReadOnly: true}},
		args:    []string{"--java-db=" + path.Join(javaDBDir, literal(in.JavaDB.Path))},
	}
}

func durations(list []time.Duration) string {
	var words []string
	for _, d := range list {
		words = append(words, d.String())
	}
	return strings.Join(words, ",")
}
