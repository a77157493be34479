// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// The cgroups are made as slurmstepd makes them. https://slurm.schedmd.com/cgroup_v2.html
func TestTheSlurmJobIsWhatTheCgroupSays(t *testing.T) {
	const pod = "/kubepods/besteffort/pod0e9a3c52-7d6b-4f55-9d0c-6a4b3f1c2d10/8f0c"
	for _, c := range []struct {
		name, hierarchy, cgroup string
		flags                   []string
		slurm                   v1alpha1.InventorySlurm
		pod                     string
	}{
		{"cgroup v2", "cgroup2", "/system.slice/slurmstepd.scope/job_4711/step_0/user", nil,
			v1alpha1.InventorySlurm{Job: "4711", Step: "0", Task: "0", Source: v1alpha1.SlurmFromCgroup}, ""},
		{"cgroup v2 in a slurmd pod", "cgroup2", pod + "/system.slice/slurmstepd.scope/job_4711/step_batch/user", nil,
			v1alpha1.InventorySlurm{Job: "4711", Step: "batch", Task: "0", Source: v1alpha1.SlurmFromCgroup}, "0e9a3c52-7d6b-4f55-9d0c-6a4b3f1c2d10"},
		{"cgroup v1", "freezer", "/slurm_n1/uid_4242/job_12/step_3", nil,
			v1alpha1.InventorySlurm{Job: "12", Step: "3", Task: "0", Source: v1alpha1.SlurmFromCgroup}, ""},
		{"cgroup and an environment that claims another", "cgroup2", "/slurmstepd.scope/job_4711/step_0/user", []string{"--env=SLURM_JOB_ID=1"},
			v1alpha1.InventorySlurm{Job: "4711", Step: "0", Task: "0", Source: v1alpha1.SlurmFromCgroup}, ""},
		{"environment alone", "cgroup2", "/elsewhere", []string{"--env=SLURM_JOB_ID=99"},
			v1alpha1.InventorySlurm{Job: "99", Source: v1alpha1.SlurmFromEnvironment}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			hierarchy := mountOf(t, c.hierarchy)
			dir := filepath.Join(hierarchy, "sifscan-live-test", c.cgroup)
			startImage(t, "science.sif", append(c.flags, "--cgroup="+dir)...)
			got := only(t)
			if got.Slurm == nil {
				t.Fatalf("no Slurm job: %+v", got)
			}
			equal(t, "job", *got.Slurm, c.slurm)
			if c.pod != "" && (got.Pod == nil || got.Pod.UID != c.pod) {
				t.Errorf("pod: %+v, want %s", got.Pod, c.pod)
			}
		})
	}
}

// mountOf finds a hierarchy of cgroups: cgroup2, or a controller of v1.
func mountOf(t *testing.T, hierarchy string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[2] == hierarchy || f[2] == "cgroup" && filepath.Base(f[1]) == hierarchy {
			return f[1]
		}
	}
	t.Skipf("this machine has no hierarchy %s", hierarchy)
	return ""
}
