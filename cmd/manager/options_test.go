// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/controllers/sifscan"
)

func TestParse(t *testing.T) {
	image := "--agent-image=agent:1"
	for _, tc := range []struct {
		name string
		args []string
		want sifscan.OperatorConfig
		err  string
	}{
		{"only the image", []string{image}, sifscan.OperatorConfig{AgentImage: "agent:1", Identity: sifscan.Identity{User: 65532, Group: 65532}}, ""},
		{"an identity", []string{image, "--run-as-user=4242", "--run-as-group=100", "--supplemental-groups=1,2"},
			sifscan.OperatorConfig{AgentImage: "agent:1", Identity: sifscan.Identity{User: 4242, Group: 100, SupplementalGroups: []int64{1, 2}}}, ""},
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
	if *m.GracefulShutdownTimeout <= 0 {
		t.Error("no time to end in")
	}
}
