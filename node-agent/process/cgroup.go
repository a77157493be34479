// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"regexp"
	"strings"
)

// Sources of a Slurm job, as in the API.
const (
	FromCgroup      = "cgroup"
	FromEnvironment = "environment"
)

// Slurm is a job, and what of it a process belongs to. The zero value: none.
type Slurm struct {
	Job    string `json:"job,omitempty"`
	Step   string `json:"step,omitempty"`
	Task   string `json:"task,omitempty"`
	Source string `json:"source,omitempty"`
}

// depth tells how much is known of the job.
func (s Slurm) depth() int {
	switch {
	case s.Task != "":
		return 2
	case s.Step != "":
		return 1
	}
	return 0
}

var (
	// slurmScope is the cgroup of slurmstepd: cgroup v2 ([<node>_]slurmstepd.scope, also with
	// IgnoreSystemd, https://slurm.schedmd.com/cgroup_v2.html), or v1 (slurm, slurm_<node> with several
	// slurmd on a machine).
	slurmScope = regexp.MustCompile(`^(?:(?:.+_)?slurmstepd\.scope|slurm(?:_.+)?)$`)
	slurmUser  = regexp.MustCompile(`^uid_[0-9]+$`) // v1
	slurmJob   = regexp.MustCompile(`^job_([0-9]{1,20})$`)
	slurmStep  = regexp.MustCompile(`^step_([0-9]{1,20}|batch|extern|interactive)$`)
	slurmTask  = regexp.MustCompile(`^task_([0-9]{1,20}|special)$`)
	// podCgroup is a pod's with either cgroup driver; the UID of a static pod has no dashes.
	podCgroup = regexp.MustCompile(`^(?:kubepods-(?:[a-z]+-)?)?pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$`)
	// userManager is where a user may make cgroups of any name.
	userManager = regexp.MustCompile(`^user(?:@[0-9]+\.service|-[0-9]+\.slice|\.slice)$`)
)

// parseCgroup finds the Slurm job and the pod of proc_pid_cgroup(5). In a container with a cgroup
// namespace the paths of others begin with "/../"; what follows is whole.
func parseCgroup(text []byte) (job Slurm, pod string) {
	for line := range bytes.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		j, p := parseCgroupPath(parts[2])
		if job.Job == "" || j.Job == job.Job && j.depth() > job.depth() {
			job = j // v1: the task is in some of the hierarchies only
		}
		if pod == "" {
			pod = p
		}
	}
	return job, pod
}

// parseCgroupPath takes the outermost job and pod: what is below a job is the user's to make where
// somebody delegated it.
func parseCgroupPath(path string) (job Slurm, pod string) {
	elements := strings.Split(path, "/")
	for i, e := range elements {
		if userManager.MatchString(e) {
			return job, pod
		}
		if m := podCgroup.FindStringSubmatch(e); m != nil && pod == "" && job.Job == "" {
			pod = strings.ReplaceAll(m[1], "_", "-")
		}
		if job.Job == "" && slurmScope.MatchString(e) {
			job = parseSlurm(elements[i+1:])
		}
	}
	return job, pod
}

// parseSlurm parses [uid_U/]job_J[/step_S[/user[/task_T]]].
func parseSlurm(elements []string) (job Slurm) {
	next := func(pattern *regexp.Regexp) string {
		if len(elements) == 0 {
			return ""
		}
		m := pattern.FindStringSubmatch(elements[0])
		if m == nil {
			return ""
		}
		elements = elements[1:]
		return m[len(m)-1]
	}
	next(slurmUser)
	if job.Job = next(slurmJob); job.Job == "" {
		return Slurm{}
	}
	job.Source = FromCgroup
	if job.Step = next(slurmStep); job.Step != "" {
		if len(elements) > 0 && elements[0] == "user" {
			elements = elements[1:]
		}
		job.Task = next(slurmTask)
	}
	return job
}

var jobNumber = regexp.MustCompile(`^[0-9]{1,20}$`)

// claimedSlurm is what the user's environment claims.
func claimedSlurm(environ []byte) (job Slurm) {
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		name, value, _ := bytes.Cut(variable, []byte("="))
		if !jobNumber.Match(value) {
			continue
		}
		switch string(name) {
		case "SLURM_JOB_ID":
			job.Job, job.Source = string(value), FromEnvironment
		case "SLURM_STEP_ID":
			job.Step = string(value)
		case "SLURM_PROCID":
			job.Task = string(value)
		}
	}
	if job.Job == "" {
		return Slurm{}
	}
	return job
}
