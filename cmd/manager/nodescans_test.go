// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
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
	o, err = parse([]string{"--agent-image=a", "--node-scans-namespace=sifscan-node", "--node-scans-slots=5", "--node-scans-tolerations=pool=gpu:NoSchedule",
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
		"--node-scans-namespace=elsewhere":       "use sifscan-node, the name by which the admission policies know",
		"--node-scans-tmp-limit=1Mi":             "use at least 16Mi",
		"--node-scans-tmp-limit=much":            "--node-scans-tmp-limit \"much\": use a size such as 10Gi",
	} {
		if _, err := parse([]string{"--agent-image=a", "--node-scans-namespace=sifscan-node", flag}); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v, want %q", flag, err, message)
		}
	}
}

func TestEnginesOnNodesAreAskedForOneByOne(t *testing.T) {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	base := func(args ...string) []string {
		return append([]string{"--agent-image=a", "--node-scans-namespace=sifscan-node"}, args...)
	}
	program := func(args ...string) []string { return base(append(args, "--qscanner-image=q"+digest)...) }
	for name, c := range map[string]struct {
		args []string
		want *v1alpha1.QscannerEngine
		says string
	}{
		"nothing":               {program(), nil, ""},
		"a token":               {program("--node-scans-qscanner-credentials-secret=s", "--node-scans-qscanner-platform=EU1"), &v1alpha1.QscannerEngine{Platform: "EU1", Mode: "get-report", CredentialsSecretName: "s"}, ""},
		"a token and a gateway": {program("--node-scans-qscanner-credentials-secret=s", "--qscanner-gateway-url=https://g"), &v1alpha1.QscannerEngine{Mode: "get-report", CredentialsSecretName: "s"}, ""},
		"no platform":           {program("--node-scans-qscanner-mode=inventory-only"), &v1alpha1.QscannerEngine{Mode: "inventory-only"}, ""},
		"no program":            {base("--node-scans-qscanner-mode=inventory-only"), nil, "--qscanner-image"},
		"nobody to talk to":     {program("--node-scans-qscanner-credentials-secret=s"), nil, "--node-scans-qscanner-platform: name your Qualys platform"},
		"no token":              {program("--node-scans-qscanner-mode=get-report", "--node-scans-qscanner-platform=EU1"), nil, "name the Secret"},
		"a verdict":             {program("--node-scans-qscanner-mode=evaluate-policy", "--node-scans-qscanner-platform=EU1"), nil, "use get-report, scan-only or inventory-only"},
	} {
		o, err := parse(c.args)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
			continue
		}
		if err == nil && !equality.Semantic.DeepEqual(o.operator.NodeScans.Qscanner, c.want) {
			t.Errorf("%s: %+v", name, o.operator.NodeScans.Qscanner)
		}
	}
	o, err := parse(base("--node-scans-trivy-database-claim=t", "--node-scans-trivy-database-path=cache"))
	if err != nil || *o.operator.NodeScans.TrivyDatabase != (v1alpha1.TrivyDatabase{ClaimName: "t", Path: "cache"}) {
		t.Errorf("%v", err)
	}
}

// Messages of the agent send people to these flags.
func TestWhatTheAgentCallsTheOperatorsFlagsTheyAreCalled(t *testing.T) {
	set := engine.ByOperator
	for says, value := range map[string]string{
		set.RaiseTmp(): "20Gi", set.RaiseMemory(): "4Gi", set.NativeDatabase(): "osv", set.TrivyDatabase(): "trivy",
	} {
		flag := says[strings.LastIndexByte(says, ' ')+1:]
		if _, err := parse([]string{"--agent-image=a", "--node-scans-namespace=sifscan-node", flag + "=" + value}); err != nil {
			t.Errorf("%q: %v", says, err)
		}
	}
}
