// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// NodeScansNamespace holds the pods of node scans: the only namespace at Pod Security "privileged", with nothing else in it.
// Admission (config/admission) holds the reporters of nodes to their SIFScan by its name: from another namespace
// their tokens could write more than they may.
const NodeScansNamespace = "sifscan-node"

// NodeScansConfig is how scans of running containers are run. Nothing of it is a SIFScan's to choose.
type NodeScansConfig struct {
	// Namespace of their pods, NodeScansNamespace.
	Namespace string
	// Slots is how many nodes are looked at at a time, over all SIFScans.
	Slots int
	// AppArmorProfile of the opener: empty is the runtime's default, else Unconfined or localhost/NAME.
	AppArmorProfile string
	// SELinuxOptions of the opener; nil: the runtime's default.
	SELinuxOptions *corev1.SELinuxOptions
	// Tolerations are all that a node pod may have. A SIFScan that names none has them all.
	Tolerations []corev1.Toleration
	// MemoryLimit of the scanner that reads images.
	MemoryLimit resource.Quantity
	NodeEnginesConfig
}

// DefaultNodeSlots is how many nodes are looked at at a time where nobody says otherwise.
const DefaultNodeSlots = 50

// DefaultNodeTolerations cover the taints of Slurm's nodes: slurm-operator's (pkg/taints) and
// slurm-bridge's (internal/utils/taints.go), and the one of Soperator's example.
const DefaultNodeTolerations = "nodeset.slinky.slurm.net/worker:NoExecute,slinky.slurm.net/slurm:NoExecute," +
	"slinky.slurm.net/managed-node:NoExecute,nvidia.com/gpu:NoSchedule"

const (
	appArmorUnconfined = "Unconfined"
	appArmorLocalhost  = "localhost/"
)

// Check says what is wrong with the configuration.
func (c *NodeScansConfig) Check() error {
	switch {
	case c.Namespace != NodeScansNamespace:
		return fmt.Errorf("namespace %q: use %s, the name by which the admission policies know the reporters of nodes", c.Namespace, NodeScansNamespace)
	case c.Slots < 1:
		return errors.New("slots: let at least one node be looked at at a time")
	case c.AppArmorProfile != "" && c.AppArmorProfile != appArmorUnconfined && !strings.HasPrefix(c.AppArmorProfile, appArmorLocalhost):
		return fmt.Errorf("AppArmor profile %q: use Unconfined, or localhost/NAME of a profile that the nodes have loaded", c.AppArmorProfile)
	case c.MemoryLimit.Cmp(listLimits[corev1.ResourceMemory]) < 0:
		return fmt.Errorf("memory limit %s: use at least %s", c.MemoryLimit.String(), listLimits.Memory())
	}
	return c.NodeEnginesConfig.check()
}

// ParseTolerations reads KEY[=VALUE][:EFFECT], separated by commas. Without a value, any is tolerated;
// without an effect, all are. A key is required: who tolerates everything runs on broken nodes, too.
func ParseTolerations(text string) ([]corev1.Toleration, error) {
	var list []corev1.Toleration
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		taint, effect, _ := strings.Cut(word, ":")
		key, value, equal := strings.Cut(taint, "=")
		t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffect(effect)}
		if equal {
			t.Operator, t.Value = corev1.TolerationOpEqual, value
		}
		known := []corev1.TaintEffect{"", corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
		if len(validation.IsQualifiedName(key)) > 0 || !slices.Contains(known, t.Effect) {
			return nil, fmt.Errorf("toleration %q: use KEY[=VALUE][:EFFECT], such as slinky.slurm.net/slurm:NoExecute", word)
		}
		list = append(list, t)
	}
	return list, nil
}

// tolerations of a SIFScan's node pods: those it names, of those it may.
func (c *NodeScansConfig) tolerations(asked []corev1.Toleration) ([]corev1.Toleration, error) {
	if len(asked) == 0 {
		return slices.Clone(c.Tolerations), nil
	}
	for i := range asked {
		if !slices.ContainsFunc(c.Tolerations, func(allowed corev1.Toleration) bool { return covers(&allowed, &asked[i]) }) {
			return nil, &hold{stalled: true, reason: v1alpha1.ReasonNotAllowed, message: fmt.Sprintf(
				"spec.scheduling.tolerations: scans of running containers may not tolerate the taint %s: remove it, or ask the operator's administrator for --node-scans-tolerations",
				printable(asked[i].Key+":"+string(asked[i].Effect), maxDetail))}
		}
	}
	return slices.Clone(asked), nil
}

// covers reports whether a toleration tolerates no more than an allowed one.
func covers(allowed, asked *corev1.Toleration) bool {
	equal := asked.Operator == "" || asked.Operator == corev1.TolerationOpEqual
	return asked.Key == allowed.Key &&
		(allowed.Effect == "" || allowed.Effect == asked.Effect) &&
		(allowed.Operator == corev1.TolerationOpExists && (equal || asked.Operator == corev1.TolerationOpExists) ||
			equal && asked.Value == allowed.Value)
}
