// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestNodeScansAreOffUnlessANamespaceIsNamed(t *testing.T) {
	o, err := parse([]string{"--agent-image=a", "--node-scans-slots=7"})
	if err != nil || o.operator.NodeScans != nil {
		t.Fatalf("%v, %v", o.operator.NodeScans, err)
	}
}

func TestNodeScanFlags(t *testing.T) {
	o, err := parse([]string{"--agent-image=a", "--node-scans-namespace=sifscan-node"})
	if err != nil {
		t.Fatal(err)
	}
	c := o.operator.NodeScans
	if c.Slots != 50 || c.MemoryLimit.String() != "2Gi" || len(c.Tolerations) != 4 || c.SELinuxOptions != nil || c.AppArmorProfile != "" {
		t.Errorf("defaults %+v", c)
	}
	o, err = parse([]string{"--agent-image=a", "--node-scans-namespace=n", "--node-scans-slots=5", "--node-scans-tolerations=pool=gpu:NoSchedule",
		"--node-scans-memory-limit=4Gi", "--node-scans-apparmor-profile=Unconfined", "--node-scans-selinux-type=spc_t", "--node-scans-selinux-level=s0"})
	if err != nil {
		t.Fatal(err)
	}
	c = o.operator.NodeScans
	want := corev1.Toleration{Key: "pool", Operator: corev1.TolerationOpEqual, Value: "gpu", Effect: corev1.TaintEffectNoSchedule}
	if c.Slots != 5 || c.MemoryLimit.String() != "4Gi" || len(c.Tolerations) != 1 || c.Tolerations[0] != want ||
		*c.SELinuxOptions != (corev1.SELinuxOptions{Type: "spc_t", Level: "s0"}) || c.AppArmorProfile != "Unconfined" {
		t.Errorf("configuration %+v", c)
	}
	for flag, message := range map[string]string{
		"--node-scans-slots=0":                   "--node-scans-…: slots",
		"--node-scans-tolerations=:NoExecute":    "--node-scans-tolerations: toleration \":NoExecute\": use KEY",
		"--node-scans-memory-limit=much":         "--node-scans-memory-limit \"much\": use a size such as 2Gi",
		"--node-scans-memory-limit=1Mi":          "use at least 256Mi",
		"--node-scans-apparmor-profile=complain": "use Unconfined",
	} {
		if _, err := parse([]string{"--agent-image=a", "--node-scans-namespace=n", flag}); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v, want %q", flag, err, message)
		}
	}
}
