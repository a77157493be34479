// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

// scannerUser scans in a node's pod, where it has no capability (controllers/sifscan/livepod.go).
const scannerUser = 65530

// startOpener starts an opener that serves scannerUser until the test ends, by way of a program that executes it or none.
func startOpener(t *testing.T, by ...string) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp(dir, "opener-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "opener.sock")
	line := append(by, agent, "opener", "--socket="+socket, fmt.Sprint("--peer-uid=", scannerUser))
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM) // it may have ended
		_ = cmd.Wait()                       // what it ends with is its own affair
	})
	return socket
}

// asScanner is a command of the agent as a node's pod runs it: a user without any right.
func asScanner(args ...string) *exec.Cmd {
	cmd := exec.Command(agent, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: scannerUser, Gid: scannerUser}}
	return cmd
}

// scanAsInAPod scans through an opener, without any right of its own.
func scanAsInAPod(t *testing.T, flag string, pid int, flags ...string) (*v1alpha1.ScanReport, result) {
	t.Helper()
	out := scannersDir(t)
	args := append([]string{"scan", "--opener=" + startOpener(t), fmt.Sprint(flag, "=", pid), "--formats=json", "--output-dir=" + out}, flags...)
	r := finish(t, asScanner(args...))
	return reportIn(t, out), r
}

// scannersDir is a directory of the scanner's.
func scannersDir(t *testing.T) string {
	t.Helper()
	made, err := os.MkdirTemp(dir, "scanner-")
	if err == nil {
		err = os.Chown(made, scannerUser, scannerUser)
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// A user of the machine is none of the scanner's business: what is handed over is all that it sees.
func TestAScannerWithoutAnyRightReadsWhatTheOpenerHandsOver(t *testing.T) {
	c := startImage(t, "science.sif").Containers[0]
	report, r := scanAsInAPod(t, "--pid", c.Command)
	if report == nil || r.exit != 0 {
		t.Fatalf("scan ended with %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	equal(t, "packages", report.Report.Summary.Packages, debianPackages)
	denied := finish(t, asScanner("scan", fmt.Sprint("--pid=", c.Command), "--formats=json", "--output-dir="+scannersDir(t)))
	if denied.exit != 1 {
		t.Errorf("without the opener the scan ended with %d\n%s", denied.exit, denied.stdout)
	}
}

// The reporter's token is in its root, an engine's in the scanner's environment: users that differ keep them apart, for the group is the same.
func TestScannerAndReporterOfANodeCannotLookIntoEachOther(t *testing.T) {
	const reporterUser, group = 65531, 65532
	sleepAs := func(user uint32) int {
		cmd := exec.Command(at("sandbox") + live.Sleep)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: group}, Pdeathsig: unix.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // it sleeps for ever
			_ = cmd.Wait()
		})
		return cmd.Process.Pid
	}
	for _, c := range []struct {
		of      uint32
		allowed bool
	}{{scannerUser, true}, {reporterUser, false}} {
		pid := sleepAs(c.of)
		for _, look := range []string{"cat /proc/%d/environ", "ls /proc/%d/root/", "kill -0 %d"} {
			cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf(look, pid))
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: scannerUser, Gid: group}}
			if r := finish(t, cmd); (r.exit == 0) != c.allowed {
				t.Errorf("%q by user %d of a process of user %d ended with %d %s", look, scannerUser, c.of, r.exit, r.stderr)
			}
		}
	}
}

// refusing executes the agent where the kernel refuses pidfd_getfd with EPERM, as old seccomp profiles of container runtimes do.
// The filter is of the process that this very program becomes.
func refusing(t *testing.T) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(refusedVariable, "1")
	return []string{self}
}

// A node that refuses says so once, and in the pod's own words, however many containers run there.
func TestANodeThatRefusesDescriptorsSaysSoOnce(t *testing.T) {
	run := startImage(t, "science.sif", "--ranks=20")
	startImage(t, "plain.sqsh", "--setuid")
	by := refusing(t)
	r := finish(t, exec.Command(by[0], agent, "scan", "--image-pattern="+dir+"/*", "--formats=json", "--output-dir="+t.TempDir()))
	if said := strings.Count(r.stderr+r.stdout, "pidfd_getfd"); r.exit != 1 || said != 1 || !strings.Contains(r.stderr, "RuntimeDefault of containerd 1.7") {
		t.Errorf("it ended with %d and said it %d times:\n%s%s", r.exit, said, r.stdout, r.stderr)
	}

	left := filepath.Join(scannersDir(t), "termination-log")
	if err := os.WriteFile(left, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(left, 0o666); err != nil {
		t.Fatal(err)
	}
	socket := startOpener(t, by...)
	pod := finish(t, asScanner("scan", "--opener="+socket, "--node=n1", fmt.Sprint("--pid=", run.Containers[0].Command), "--results-dir="+scannersDir(t),
		"--state-dir="+scannersDir(t), "--store-timeout=5s", "--termination-log="+left))
	text, err := os.ReadFile(left)
	if err != nil || pod.exit != 1 || !strings.HasPrefix(string(text), `{"message":"`) || strings.Count(string(text), v1alpha1.ReasonNodePolicyDenies) != 1 ||
		strings.Count(string(text), "pidfd_getfd") != 1 {
		t.Errorf("the pod ended with %d (%v) and left %s\n%s", pod.exit, err, text, pod.stderr)
	}
}

// refusedVariable makes this program take pidfd_getfd from itself and become what its arguments name.
const refusedVariable = "SIFSCAN_TEST_REFUSED"

// become executes args without pidfd_getfd.
func become(args []string) error {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		end   = unix.BPF_RET | unix.BPF_K
	)
	program := []unix.SockFilter{
		{Code: load}, // the number of the call, the first word of seccomp_data
		{Code: equal, K: unix.SYS_PIDFD_GETFD, Jf: 1},
		{Code: end, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: end, K: unix.SECCOMP_RET_ALLOW},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread() // the filter is this thread's, which becomes the process
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0); err != nil {
		return fmt.Errorf("set a filter of system calls: %w", err)
	}
	return unix.Exec(args[0], args, os.Environ())
}
