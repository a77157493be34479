// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

func TestParse(t *testing.T) {
	image := "--agent-image=agent:1"
	digest := "@sha256:" + strings.Repeat("0a", 32)
	slots := sifscan.Slots{Total: 10, PerNamespace: 4, PerVolume: 2}
	pace := sifscan.Pace{RequestsPerSecond: 2000}
	nonroot := sifscan.Identity{User: 65532, Group: 65532}
	for _, tc := range []struct {
		name string
		args []string
		want sifscan.OperatorConfig
		err  string
	}{
		{"only the image", []string{image}, sifscan.OperatorConfig{AgentImage: "agent:1", Slots: slots, Pace: pace, PendingDeadline: 15 * time.Minute, Identity: sifscan.Identity{User: 65532, Group: 65532}}, ""},
		{"an identity", []string{image, "--run-as-user=4242", "--run-as-group=100", "--supplemental-groups=1,2"},
			sifscan.OperatorConfig{AgentImage: "agent:1", Slots: slots, Pace: pace, PendingDeadline: 15 * time.Minute, Identity: sifscan.Identity{User: 4242, Group: 100, SupplementalGroups: []int64{1, 2}}}, ""},
		{"engines", []string{image, "--qscanner-image=q" + digest, "--qscanner-gateway-url=https://gw", "--qscanner-ca-configmap=ca",
			"--qscanner-java-db-claim=java", "--qscanner-report-waits=1s,2m", "--trivy-path=/opt/trivy", "--trivy-sha256=" + strings.Repeat("0b", 32)},
			sifscan.OperatorConfig{AgentImage: "agent:1", Slots: slots, Pace: pace, PendingDeadline: 15 * time.Minute, Identity: nonroot,
				Qscanner: &sifscan.QscannerConfig{
					Binary: sifscan.Binary{Image: "q" + digest, Path: "/qscanner"}, GatewayURL: "https://gw", CAConfigMap: "ca",
					JavaDB: &v1alpha1.DatabaseSource{ClaimName: "java"}, ReportWaits: []time.Duration{time.Second, 2 * time.Minute},
				},
				Trivy: &sifscan.Binary{Path: "/opt/trivy", SHA256: strings.Repeat("0b", 32)},
			}, ""},
		{"an engine by tag", []string{image, "--qscanner-image=q:latest"}, sifscan.OperatorConfig{}, "--qscanner-…: image q:latest: name it by digest"},
		{"an engine in the agent image without its sum", []string{image, "--trivy-path=/trivy"}, sifscan.OperatorConfig{}, "--trivy-…: a program in the agent image needs its sha256"},
		{"a wait that is none", []string{image, "--qscanner-image=q" + digest, "--qscanner-report-waits=soon"}, sifscan.OperatorConfig{}, "use durations such as 30s,1m"},
		{"limits", []string{image, "--max-scans=50", "--max-scans-per-namespace=0", "--max-scans-per-volume=1", "--priority-class=low", "--pending-deadline=1h",
			"--volume-requests-per-second=0", "--volume-mib-per-second=0.5"},
			sifscan.OperatorConfig{AgentImage: "agent:1", Identity: nonroot, Slots: sifscan.Slots{Total: 50, PerVolume: 1}, Pace: sifscan.Pace{MiBPerSecond: 0.5}, PriorityClass: "low", PendingDeadline: time.Hour}, ""},
		{"fewer slots than none", []string{image, "--max-scans-per-volume=-1"}, sifscan.OperatorConfig{}, "use a number from 1, or 0 for no limit"},
		{"a pace backwards", []string{image, "--volume-mib-per-second=-1"}, sifscan.OperatorConfig{}, "use a number above 0, or 0 for no limit"},
		{"no time to wait", []string{image, "--pending-deadline=0"}, sifscan.OperatorConfig{}, "use a duration such as 15m"},
		{"no image", nil, sifscan.OperatorConfig{}, "--agent-image is missing"},
		{"root", []string{image, "--run-as-user=0"}, sifscan.OperatorConfig{}, `"0" is not a number from 1 to 2147483647`},
		{"a forgotten dash", []string{image, "leader-elect"}, sifscan.OperatorConfig{}, `unexpected argument "leader-elect"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := parse(tc.args)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, o.operator); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

func TestManagerOptions(t *testing.T) {
	o, err := parse([]string{"--agent-image=a", "--leader-elect", "--metrics-bind-address=0", "--health-probe-bind-address=:9"})
	if err != nil {
		t.Fatal(err)
	}
	m := o.manager()
	if !m.LeaderElection || m.Metrics.BindAddress != "0" || m.HealthProbeBindAddress != ":9" {
		t.Errorf("leader election %v, metrics %q, health %q", m.LeaderElection, m.Metrics.BindAddress, m.HealthProbeBindAddress)
	}
	if m.PprofBindAddress != "" {
		t.Errorf("profiles are served on %q though nobody asked for them", m.PprofBindAddress)
	}
	if *m.GracefulShutdownTimeout <= 0 {
		t.Error("no time to end in")
	}
}
