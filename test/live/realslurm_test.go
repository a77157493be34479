// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

// A real Slurm starts the containers: its own slurmstepd makes the cgroups. 'make test-slurm' installs it.
func TestTheJobOfARealSlurmIsListed(t *testing.T) {
	if _, err := exec.LookPath("slurmd"); err != nil {
		t.Skip("Slurm is not installed: run make test-slurm")
	}
	if _, err := os.Stat("/sys/fs/cgroup/freezer"); err != nil {
		t.Skip("this test's Slurm needs the freezer of cgroup v1")
	}
	s := startSlurm(t)
	job := s.submit(t, "#!/bin/sh\nexec srun -n 2 "+strings.Join([]string{double, "exec", fmt.Sprint("--user=", user), at("science.sif"), live.Sleep, "infinity"}, " ")+"\n")
	var got listed
	s.await(t, "two ranks in the list", func() bool {
		items := ps(t)
		if len(items) == 1 && items[0].Ranks == 2 {
			got = items[0]
		}
		return got.Ranks == 2
	})
	if got.Slurm == nil {
		t.Fatalf("no job: %+v", got)
	}
	// The ranks are two tasks of the step: the group is of none.
	equal(t, "job", *got.Slurm, v1alpha1.InventorySlurm{Job: job, Step: "0", Source: v1alpha1.SlurmFromCgroup})
	s.call(t, "scancel", job)
	s.await(t, "the end of the job", func() bool { return len(ps(t)) == 0 && s.call(t, "squeue", "-h") == "" })
}

// slurm is a Slurm of one node, this machine, that hears on no other address than its own.
type slurm struct{ dir string }

const slurmConf = `ClusterName=sifscan
SlurmctldHost=%[2]s(127.0.0.1)
SlurmctldPort=%[3]d
SlurmdPort=%[4]d
SlurmUser=root
AuthInfo=socket=%[1]s/munge.sock
StateSaveLocation=%[1]s/state
SlurmdSpoolDir=%[1]s/spool
SlurmctldPidFile=%[1]s/slurmctld.pid
SlurmdPidFile=%[1]s/slurmd.pid
SlurmctldLogFile=%[1]s/slurmctld.log
SlurmdLogFile=%[1]s/slurmd.log
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/cgroup
MailProg=/bin/true
NodeName=%[2]s NodeAddr=127.0.0.1 CPUs=2
PartitionName=all Nodes=ALL Default=YES
`

func startSlurm(t *testing.T) *slurm {
	t.Helper()
	s := &slurm{t.TempDir()}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	key := make([]byte, 128)
	_, _ = rand.Read(key) // it never fails
	for _, err := range []error{
		os.Mkdir(s.path("state"), 0o755), os.Mkdir(s.path("spool"), 0o755),
		os.WriteFile(s.path("munge.key"), key, 0o400),
		os.WriteFile(s.path("slurm.conf"), fmt.Appendf(nil, slurmConf, s.dir, host, freePort(t), freePort(t)), 0o644),
		os.WriteFile(s.path("cgroup.conf"), []byte("CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nConstrainCores=no\n"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.serve(t, "munged", "--force", "--foreground", "--socket="+s.path("munge.sock"), "--key-file="+s.path("munge.key"),
		"--log-file="+s.path("munged.log"), "--pid-file="+s.path("munged.pid"), "--seed-file="+s.path("munge.seed"))
	s.await(t, "munged", func() bool { _, err := os.Stat(s.path("munge.sock")); return err == nil })
	s.serve(t, "slurmctld", "-D", "-f", s.path("slurm.conf"))
	s.serve(t, "slurmd", "-D", "-f", s.path("slurm.conf"))
	t.Cleanup(func() { removeCgroups("slurm_" + host) })
	s.await(t, "an idle node", func() bool { return strings.Contains(s.try("sinfo", "-h"), "idle") })
	t.Cleanup(func() {
		s.try("scancel", "--user=root")
		s.await(t, "the end of all jobs", func() bool { return s.try("squeue", "-h") == "" })
	})
	return s
}

func (s *slurm) path(name string) string { return filepath.Join(s.dir, name) }

// serve starts a daemon that ends with the test.
func (s *slurm) serve(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "SLURM_CONF="+s.path("slurm.conf"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM) // it may have ended
		_ = cmd.Wait()                       // what it ends with is its own affair
		if t.Failed() {
			t.Logf("%s: %s", name, said.String()[max(0, said.Len()-2000):])
		}
	})
}

// try runs a command of Slurm and returns what it prints.
func (s *slurm) try(name string, args ...string) string {
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "SLURM_CONF="+s.path("slurm.conf"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s: %v: %s", name, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *slurm) call(t *testing.T, name string, args ...string) string {
	t.Helper()
	out := s.try(name, args...)
	if strings.HasPrefix(out, name+": ") {
		t.Fatal(out)
	}
	return out
}

// submit submits a script for two tasks and returns the job's number.
func (s *slurm) submit(t *testing.T, script string) string {
	t.Helper()
	if err := os.WriteFile(s.path("job.sh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return s.call(t, "sbatch", "--parsable", "-n", "2", "-o", s.path("job.out"), s.path("job.sh"))
}

func (s *slurm) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			out, _ := os.ReadFile(s.path("job.out")) // there may be no job yet
			t.Fatalf("%s: not within a minute\n%s", what, out)
		}
	}
}

// removeCgroups removes what slurmstepd leaves in the hierarchies of cgroup v1, deepest first.
func removeCgroups(name string) {
	tops, _ := filepath.Glob("/sys/fs/cgroup/*/" + name) // the pattern is well-formed
	for _, top := range tops {
		for range 4 {
			for _, pattern := range []string{"/*/*/*/*", "/*/*/*", "/*/*", "/*", ""} {
				found, _ := filepath.Glob(top + pattern)
				for _, dir := range found {
					_ = unix.Rmdir(dir) // files are not
				}
			}
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
