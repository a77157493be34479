// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The cgroup files are what slurmd 21.08 to 24.05 and the kubelet make, with the numbers changed.
func TestTheJobAndThePodOfACgroup(t *testing.T) {
	const pod = "8d1c0f5e-0123-4567-89ab-0123456789ab"
	job := func(step, task string) Slurm {
		return Slurm{Job: "4711", Step: step, Task: task, Source: FromCgroup}
	}
	for name, c := range map[string]struct {
		text string
		job  Slurm
		pod  string
	}{
		"v2": {text: "0::/system.slice/slurmstepd.scope/job_4711/step_0/user/task_3\n", job: job("0", "3")},
		"v2 with several slurmd on a machine": {text: "0::/system.slice/n1_slurmstepd.scope/job_4711/step_batch/user/task_0\n",
			job: job("batch", "0")},
		"v2, slurmstepd itself":               {text: "0::/system.slice/slurmstepd.scope/job_4711/step_0/slurm\n", job: job("0", "")},
		"v2, extern":                          {text: "0::/system.slice/slurmstepd.scope/job_4711/step_extern/user/task_special\n", job: job("extern", "special")},
		"v2, interactive":                     {text: "0::/system.slice/slurmstepd.scope/job_4711/step_interactive/user/task_0\n", job: job("interactive", "0")},
		"v2 with IgnoreSystemd":               {text: "0::/slurmstepd.scope/job_4711/step_0/user/task_0\n", job: job("0", "0")},
		"v2, the scope of slurmstepd alone":   {text: "0::/system.slice/slurmstepd.scope/system\n"},
		"v1":                                  {text: "12:pids:/user.slice\n9:freezer:/slurm/uid_4242/job_4711/step_0\n1:name=systemd:/system.slice/slurmd.service\n", job: job("0", "")},
		"v1 with tasks":                       {text: "4:cpuset:/slurm/uid_4242/job_4711/step_2/task_7\n", job: job("2", "7")},
		"v1 with several slurmd on a machine": {text: "4:memory:/slurm_n1/uid_4242/job_4711/step_batch/task_0\n", job: job("batch", "0")},
		"v1 of Slurm 22.05, recorded: the task is in memory and cpuacct": {
			text: "9:name=systemd:/\n8:pids:/\n7:blkio:/\n6:freezer:/slurm_vm/uid_0/job_4711/step_0\n5:devices:/\n4:memory:/slurm_vm/uid_0/job_4711/step_0/task_1\n3:cpuset:/\n2:cpuacct:/slurm_vm/uid_0/job_4711/step_0/task_1\n1:cpu:/\n0::/\n",
			job:  job("0", "1")},
		"v1 of Slurm 22.05, recorded: slurmstepd itself": {text: "6:freezer:/slurm_vm/uid_0/job_4711\n0::/\n", job: job("", "")},
		"hybrid: the job is in a v1 hierarchy":           {text: "5:freezer:/slurm/uid_4242/job_4711/step_0\n0::/system.slice/slurmd.service\n", job: job("0", "")},
		"v2 in a pod, IgnoreSystemd, seen from the node": {
			text: "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod8d1c0f5e_0123_4567_89ab_0123456789ab.slice/cri-containerd-4f.scope/system.slice/slurm-0_slurmstepd.scope/job_4711/step_0/user/task_0\n",
			job:  job("0", "0"), pod: pod},
		"v2 in a pod, seen from another pod": {
			text: "0::/../../kubepods-burstable-pod8d1c0f5e_0123_4567_89ab_0123456789ab.slice/cri-containerd-4f.scope/slurmstepd.scope/job_4711/step_0/user/task_0\n",
			job:  job("0", "0"), pod: pod},
		"v1 in a pod, cgroupfs driver": {
			text: "5:memory:/kubepods/burstable/pod8d1c0f5e-0123-4567-89ab-0123456789ab/4f00/slurm/uid_0/job_4711/step_0\n",
			job:  job("0", ""), pod: pod},
		"a pod without Slurm": {text: "0::/kubepods.slice/kubepods-pod8d1c0f5e_0123_4567_89ab_0123456789ab.slice/cri-containerd-4f.scope\n", pod: pod},
		"a static pod":        {text: "0::/kubepods/burstable/pod" + strings.Repeat("ab", 16) + "/4f00\n", pod: strings.Repeat("ab", 16)},
		"a login session":     {text: "0::/user.slice/user-4242.slice/session-3.scope\n"},

		"a user's own cgroups with Slurm's names":    {text: "0::/user.slice/user-4242.slice/user@4242.service/app.slice/slurmstepd.scope/job_1/step_0\n"},
		"a user's own cgroups with a pod's name":     {text: "0::/user.slice/user-4242.slice/user@4242.service/kubepods-pod8d1c0f5e_0123_4567_89ab_0123456789ab.slice\n"},
		"a job's own cgroups below it do not count":  {text: "0::/system.slice/slurmstepd.scope/job_4711/step_0/user/task_0/slurmstepd.scope/job_1/step_9/user/task_9\n", job: job("0", "0")},
		"a job's own cgroup with a pod's name":       {text: "0::/system.slice/slurmstepd.scope/job_4711/step_0/user/task_0/pod8d1c0f5e-0123-4567-89ab-0123456789ab\n", job: job("0", "0")},
		"a number that is none":                      {text: "0::/slurmstepd.scope/job_47x/step_0\n"},
		"a number beyond all bounds":                 {text: "0::/slurmstepd.scope/job_" + strings.Repeat("1", 400) + "\n"},
		"a file cut off":                             {text: "0::/slurmstepd.scope/job_4711/st", job: job("", "")},
		"no cgroup file that anybody has seen":       {text: "\x00\n::\n:\n"},
		"a job named outside of Slurm's own cgroups": {text: "0::/system.slice/job_4711/step_0\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, uid := parseCgroup([]byte(c.text))
			if got != c.job || uid != c.pod {
				t.Errorf("job %+v in pod %q, want %+v in %q", got, uid, c.job, c.pod)
			}
		})
	}
}

func TestTheEnvironmentIsAskedOnlyWhereTheCgroupTellsNothing(t *testing.T) {
	claim := "SLURM_JOB_ID=99\x00SLURM_STEP_ID=1\x00SLURM_PROCID=4\x00"
	n := newNode()
	n.run(100, 4242, n.rootless())
	n.set(102, "environ", claim)
	if got, want := discover(t, n)[0].Slurm, (Slurm{Job: "99", Step: "1", Task: "4", Source: FromEnvironment}); got != want {
		t.Errorf("job %+v, want %+v", got, want)
	}
	n.set(102, "cgroup", "0::/slurmstepd.scope/job_4711/step_0\n")
	if got := discover(t, n)[0].Slurm; got.Job != "4711" || got.Source != FromCgroup {
		t.Errorf("the user's claim outweighs the cgroup: %+v", got)
	}
	for _, bad := range []string{"", "SLURM_JOB_ID=\x00", "SLURM_JOB_ID=4711; rm\x00", "SLURM_JOB_ID\x00", "SLURM_STEP_ID=1\x00"} {
		if got := claimedSlurm([]byte(bad)); got != (Slurm{}) {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

func TestCommandsAreShownWithoutSecrets(t *testing.T) {
	for args, want := range map[string]string{
		"python3|train.py|--epochs=3":             "python3 train.py --epochs=3",
		"a|--password=x":                          "a --password=[removed]",
		"a|--password|x|y":                        "a --password [removed] y",
		"a|--token|--verbose":                     "a --token --verbose",
		"API_KEY=x|a":                             "API_KEY=[removed] a",
		"git|clone|https://u:p@example.org/r":     "git clone https://[removed]@example.org/r",
		"a|ghp_0123456789abcdefABCDEF":            "a [removed]",
		"curl|-H|Authorization: Bearer abc":       "curl -H Authorization:[removed]",
		"curl|--header=X-Auth-Token: abc":         "curl --header=X-Auth-Token:[removed]",
		"sh|-c|export HF=hf_0123456789abcdefABCD": "sh -c export HF=[removed]",
		"a|\x1b[2J|b\nc":                          `a \x1b[2J b\x0ac`,
		"":                                        "",
		strings.Repeat("x", 9000):                 strings.Repeat("x", maxShown-3) + "…",
	} {
		if got := showCommand([]byte(strings.ReplaceAll(args, "|", "\x00") + "\x00")); got != want {
			t.Errorf("%.60q is shown as %.90q, want %.90q", args, got, want)
		}
	}
}

func TestMountinfo(t *testing.T) {
	got := ParseMounts([]byte("36 35 98:0 /mnt1 /mnt\\0402\\134 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\nnot a line\n- \n36 35 98:0 / /x rw - \n"))
	if deep := ParseMounts([]byte("36 35 98:0 /" + strings.Repeat("d/", maxMount) + " /x rw - ext3 /dev/root rw\n")); len(deep) > 0 {
		t.Error("the path of a mounted directory is kept however long it is")
	}
	want := []Mount{{ID: 36, Device: "98:0", Root: "/mnt1", Point: `/mnt 2\`, Options: "rw,noatime", Type: "ext3", Source: "/dev/root", Super: "rw,errors=continue"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
