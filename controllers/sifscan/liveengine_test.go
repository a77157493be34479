// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// nodeEngines is the operator's configuration where executed engines are run on nodes.
func nodeEngines() OperatorConfig {
	c := nodeConfig()
	every := everyEngine()
	c.Qscanner, c.Trivy = every.Qscanner, &Binary{Image: strings.Replace(qscannerImage, "qscanner", "trivy", 1), Path: "/trivy"}
	c.NodeScans.TmpLimit = resource.MustParse("20Gi")
	c.NodeScans.Qscanner = &v1alpha1.QscannerEngine{Platform: "US2", Mode: v1alpha1.QscannerGetReport, CredentialsSecretName: "node-qualys"}
	c.NodeScans.TrivyDatabase = &v1alpha1.TrivyDatabase{ClaimName: "trivy", Path: "cache"}
	return c
}

func makeLiveWith(engine v1alpha1.Engine) *v1alpha1.SIFScan {
	return makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).with(func(s *v1alpha1.SIFScan) { s.Spec.Scanner.Engine = engine }).obj()
}

func TestJobsOfExecutedEnginesOnNodes(t *testing.T) {
	for engine, golden := range map[v1alpha1.Engine]string{v1alpha1.EngineQscanner: "job-node-qscanner.yaml", v1alpha1.EngineTrivy: "job-node-trivy.yaml"} {
		config, scan := nodeEngines(), makeLiveWith(engine)
		before := scan.DeepCopy()
		in := JobInputs{Scan: config.NodeScans.completed(scan), Run: RunID(scan), Workers: 1, Config: config}
		if engine == v1alpha1.EngineQscanner {
			in.JavaDB = config.Qscanner.JavaDB
		}
		compareWithGolden(t, golden, in.nodeJob(nodeWork{name: "x", node: "n1", keys: []string{key("a")}}))
		if diff := cmp.Diff(before, scan); diff != "" {
			t.Errorf("the SIFScan itself changed:\n%s", diff)
		}
	}
}

func TestEveryPodOfAnExecutedEngineOnANode(t *testing.T) {
	for _, engine := range []v1alpha1.Engine{v1alpha1.EngineQscanner, v1alpha1.EngineTrivy} {
		t.Run(string(engine), func(t *testing.T) {
			config, scan := nodeEngines(), makeLiveWith(engine)
			in := JobInputs{Scan: config.NodeScans.completed(scan), Run: RunID(scan), Workers: 1, Config: config}
			pod := in.nodeJob(nodeWork{name: "x", node: "n1", keys: []string{key("a")}}).Spec.Template.Spec
			scanner := pod.Containers[0]
			for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
				security := c.SecurityContext
				if user := security.RunAsUser; c.Name != openerContainer && (user == nil || *user != nodeScannerUser && *user != nodeReporterUser || !*security.RunAsNonRoot) {
					t.Errorf("container %s runs as %v: the image of an engine would choose", c.Name, user)
				}
				if c.Name != scannerContainer && slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == v1alpha1.QscannerTokenKey }) {
					t.Errorf("container %s gets the token", c.Name)
				}
				for name, request := range c.Resources.Requests {
					if !request.IsZero() {
						t.Errorf("container %s requests %s of %s", c.Name, request.String(), name)
					}
				}
			}
			if limit := scanner.Resources.Limits[corev1.ResourceEphemeralStorage]; limit.Cmp(diskOf(config.NodeScans.TmpLimit)) != 0 {
				t.Errorf("it may take %s of the node's disk", limit.String())
			}
			if !slices.Contains(scanner.Args, "--tmp-limit=20Gi") {
				t.Errorf("the scanner does not know the limit of tmp: %v", scanner.Args)
			}
			listing := in.nodeJob(nodeWork{name: "x", node: "n1"}).Spec.Template.Spec
			if len(listing.InitContainers) != 2 || len(listing.Containers[0].Env) != 2 {
				t.Errorf("who lists containers gets an engine or a token: %v", listing)
			}
		})
	}
}

func TestAnEngineThatIsNotRunOnNodesIsRefused(t *testing.T) {
	with := func(change func(*OperatorConfig)) OperatorConfig { c := nodeEngines(); change(&c); return c }
	for name, tc := range map[string]struct {
		engine       v1alpha1.Engine
		config       OperatorConfig
		reason, want string
	}{
		"native":                       {v1alpha1.EngineNative, nodeConfig(), "", ""},
		"qscanner":                     {v1alpha1.EngineQscanner, nodeEngines(), "", ""},
		"trivy":                        {v1alpha1.EngineTrivy, nodeEngines(), "", ""},
		"trivy without a database":     {v1alpha1.EngineTrivy, with(func(c *OperatorConfig) { c.NodeScans.TrivyDatabase = nil }), "", ""},
		"qscanner that the site lacks": {v1alpha1.EngineQscanner, nodeConfig(), v1alpha1.ReasonNotAllowed, "--qscanner-image"},
		"trivy that the site lacks":    {v1alpha1.EngineTrivy, nodeConfig(), v1alpha1.ReasonNotAllowed, "--trivy-image"},
		"qscanner that has no node's token": {v1alpha1.EngineQscanner, with(func(c *OperatorConfig) { c.NodeScans.Qscanner = nil }), v1alpha1.ReasonNotAllowed,
			"does not run the engine qscanner on nodes: set spec.scanner.engine to native, or ask the operator's administrator for --node-scans-qscanner-credentials-secret"},
	} {
		t.Run(name, func(t *testing.T) {
			expectHold(t, tc.config.checkNodeEngine(makeLiveWith(tc.engine)), tc.reason, tc.want)
		})
	}
}

func TestTheConfigurationOfEnginesOnNodesIsChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*NodeEnginesConfig)
		want   string
	}{
		"as it should be": {func(*NodeEnginesConfig) {}, ""},
		"that talks to nobody": {func(c *NodeEnginesConfig) {
			c.Qscanner = &v1alpha1.QscannerEngine{Mode: v1alpha1.QscannerInventoryOnly}
		}, ""},
		"without a token":           {func(c *NodeEnginesConfig) { c.Qscanner.CredentialsSecretName = "" }, "name the Secret with the key QUALYS_ACCESS_TOKEN"},
		"that judges":               {func(c *NodeEnginesConfig) { c.Qscanner.Mode = v1alpha1.QscannerEvaluatePolicy }, "use get-report, scan-only or inventory-only"},
		"a platform that is an URL": {func(c *NodeEnginesConfig) { c.Qscanner.Platform = "https://evil" }, "such as US2"},
		"a tmp for nothing":         {func(c *NodeEnginesConfig) { c.TmpLimit = resource.MustParse("1Mi") }, "use at least 16Mi"},
	} {
		c := nodeEngines().NodeScans.NodeEnginesConfig
		tc.change(&c)
		if err := c.check(); (err == nil) != (tc.want == "") || !strings.Contains(fmt.Sprint(err), tc.want) && tc.want != "" {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
