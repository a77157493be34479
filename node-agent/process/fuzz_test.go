// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"strings"
	"testing"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// Users choose names, mount points, arguments and variables, and cgroups where somebody lets them.
func FuzzWhatUsersChooseIsReadWithoutHarm(f *testing.F) {
	n := newNode()
	m := n.rootless()
	for _, seed := range []string{
		m.starter(), m.container(), "1 (a) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0", ") (", "0::/slurmstepd.scope/job_1/step_0\n",
		"a\x00--token\x00\xff\x00", "SLURM_JOB_ID=1\x00", "1 2 0:1 / /\\04 - - -", "Uid:\t", "btime ",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v := parseView(text)
		for _, s := range v.sessions {
			if s.final.Device == "" {
				t.Error("a session without a root")
			}
		}
		v.root.orphaned()
		v.root.writable()
		parseStat(text)
		parseUser(text)
		parseBoot(text)
		ParseMounts(text)
		if job, _ := parseCgroup(text); job.Job != "" && strings.Trim(job.Job, "0123456789") != "" {
			t.Errorf("job %q", job.Job)
		}
		claimedSlurm(text)
		claimedImage(text)
		if shown := showCommand(text); len(shown) > maxShown || !printable.Safe(shown) {
			t.Errorf("shown as %q", shown)
		}
	})
}
