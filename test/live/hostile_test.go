// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/test/fixtures"
	"github.com/sifscan/sifscan-operator/test/fixtures/live"
)

func TestAnImageThatWasDeletedSinceIsScanned(t *testing.T) {
	copyOf(t, "science.sif", "gone.sif")
	c := startImage(t, "gone.sif").Containers[0]
	if err := os.Remove(at("gone.sif")); err != nil {
		t.Fatal(err)
	}
	report, r := scanPID(t, c.Command)
	if report == nil {
		t.Fatalf("scan ended with %d\n%s", r.exit, r.stderr)
	}
	equal(t, "coverage", report.Report.Outcome.Coverage, "complete")
	equal(t, "packages", report.Report.Summary.Packages, debianPackages)
	if path := report.Report.Target.Path; !strings.HasPrefix(path, at("gone.sif")) {
		t.Errorf("path %q", path)
	}
}

func TestAnImageThatOnlyItsOwnerMayReadIsScanned(t *testing.T) {
	err := fixtures.NewTree(at("private")).Mode(".", 0o700).Owner(".", user, user).Done()
	if err != nil {
		t.Fatal(err)
	}
	copyOf(t, "science.sif", "private/secret.sif")
	path := at("private/secret.sif")
	for _, err := range []error{os.Chmod(path, 0o600), os.Chown(path, user, user)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c := startImage(t, "private/secret.sif").Containers[0]
	report, r := scanPID(t, c.Command)
	if report == nil {
		t.Fatalf("scan ended with %d\n%s", r.exit, r.stderr)
	}
	equal(t, "coverage", report.Report.Outcome.Coverage, "complete")
	equal(t, "path", report.Report.Target.Path, path)
}

// The agent is stopped when a thread of it reads the image for the nth time; the container ends; the agent goes on. With the
// first reads it makes sure that the file is an image. Then it holds the image, and needs the container no more.
func TestAContainerThatEndsWhileItIsLookedAt(t *testing.T) {
	for _, c := range []struct {
		read     int
		vanished bool
	}{
		{1, true},
		{8, false},
	} {
		t.Run(fmt.Sprintf("at read %d", c.read), func(t *testing.T) {
			run := startImage(t, "science.sif")
			out, log := t.TempDir(), filepath.Join(t.TempDir(), "strace")
			cmd := exec.Command("strace", "-f", "-qq", "-o", log, "-P", at("science.sif"), "-e", "trace=pread64",
				"-e", fmt.Sprintf("inject=pread64:signal=SIGSTOP:when=%d", c.read),
				agent, "scan", "--pid="+strconv.Itoa(run.Containers[0].Command), "--formats=json", "--output-dir="+out)
			ended := make(chan result, 1)
			go func() { ended <- finish(t, cmd) }()
			pid := awaitStopped(out, log, ended)
			if pid == 0 {
				t.Fatalf("the agent was never stopped: %+v", <-ended)
			}
			if err := run.Stop(); err != nil {
				t.Error(err)
			}
			r := goOn(pid, ended)
			report := reportIn(t, out)
			switch {
			case c.vanished && (r.exit != 1 || report != nil && report.Report.Outcome.Coverage != "vanished"):
				t.Errorf("scan of what vanished ended with %d and report %+v\n%s", r.exit, report, r.stderr)
			case !c.vanished && report == nil:
				t.Errorf("scan ended with %d\n%s", r.exit, r.stderr)
			case !c.vanished:
				equal(t, "coverage", report.Report.Outcome.Coverage, "complete")
				equal(t, "packages", report.Report.Summary.Packages, debianPackages)
			}
		})
	}
}

// goOn lets a process go on until it ends: each of its threads may be stopped once more.
func goOn(pid int, ended <-chan result) result {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case r := <-ended:
			return r
		case <-again.C:
			_ = unix.Kill(pid, unix.SIGCONT) // it may have ended
		}
	}
}

// awaitStopped returns the process with word in its command line once strace's log tells that the signal stopped it, and it
// is: strace itself stops it all the time. It returns 0 if the process ends without.
func awaitStopped(word, log string, ended chan result) int {
	for {
		select {
		case r := <-ended:
			ended <- r
			return 0
		case <-time.After(5 * time.Millisecond):
		}
		if told, _ := os.ReadFile(log); !strings.Contains(string(told), "stopped by SIGSTOP") {
			continue
		}
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well-formed
		for _, line := range lines {
			text, _ := os.ReadFile(line) // it may have ended
			if !strings.Contains(string(text), word) || strings.HasPrefix(string(text), "strace") {
				continue
			}
			stat, _ := os.ReadFile(filepath.Join(filepath.Dir(line), "stat"))
			if _, rest, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(rest, "T") || strings.HasPrefix(rest, "t") {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(line))) // the pattern's digits
				return pid
			}
		}
	}
}

func TestWhatIsNoContainerIsNotListed(t *testing.T) {
	lie := exec.Command(at("sandbox") + live.Sleep)
	lie.Args = []string{"Apptainer runtime parent: " + at("science.sif")}
	lie.Env = []string{"APPTAINER_CONTAINER=" + at("science.sif"), "SINGULARITY_CONTAINER=/etc/shadow", "SLURM_JOB_ID=1"}
	lie.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}, Pdeathsig: unix.SIGKILL}
	if err := lie.Start(); err != nil {
		t.Fatal(err)
	}
	point := at("mount/apptainer/mnt/session/rootfs") // and no final
	for _, path := range []string{point, at("mount/other")} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mount", "-t", "squashfs", "-o", "loop,ro", at("plain.sqsh"), path).CombinedOutput(); err != nil {
			t.Fatalf("mount: %v %s", err, out)
		}
	}
	t.Cleanup(func() {
		for _, path := range []string{point, at("mount/other")} {
			if err := unix.Unmount(path, 0); err != nil {
				t.Error(err)
			}
		}
		_ = lie.Process.Kill() // it sleeps for ever
		_ = lie.Wait()
	})
	if items := ps(t); len(items) > 0 {
		t.Errorf("listed: %+v", items)
	}
	report, r := scanPID(t, lie.Process.Pid)
	if report != nil || r.exit != 1 || !strings.Contains(r.stderr+r.stdout, fmt.Sprint(lie.Process.Pid)) {
		t.Errorf("scan of a process that lies ended with %d and report %v\n%s%s", r.exit, report, r.stdout, r.stderr)
	}
}

func copyOf(t *testing.T, name, copied string) {
	t.Helper()
	content, err := os.ReadFile(at(name))
	if err == nil {
		err = os.WriteFile(at(copied), content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The kernel's link to another process's root reads as "/": who follows its text scans this machine's files in the container's name.
func TestThePathOfAProcessRootIsRefused(t *testing.T) {
	c := startImage(t, "science.sif").Containers[0]
	for _, path := range []string{fmt.Sprintf("/proc/%d/root", c.Command), fmt.Sprintf("/proc/%d/root/", c.Command)} {
		out := t.TempDir()
		r := call(t, "scan", "--formats=json", "--output-dir="+out, path)
		if r.exit != 2 || !strings.Contains(r.stderr, "--pid") {
			t.Fatalf("scan of %s ended with %d\n%.500s%.500s", path, r.exit, r.stdout, r.stderr)
		}
	}
}

// Everybody may mount what he likes where Apptainer mounts a container's root, in a namespace of his own.
func TestTheMachineIsNobodysContainer(t *testing.T) {
	const fake = `mkdir -p "$0/apptainer/mnt/session/final" && mount --rbind / "$0/apptainer/mnt/session/final" && echo ready && `
	for name, rest := range map[string]string{
		"mounted at final":              `exec "$1"`,
		"mounted at final, and entered": `exec chroot "$0/apptainer/mnt/session/final" "$1"`,
	} {
		t.Run(name, func(t *testing.T) {
			place := at("fake-" + strconv.Itoa(len(rest)))
			if err := errors.Join(os.Mkdir(place, 0o755), os.Chown(place, user, user)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("setpriv", "--reuid=4242", "--regid=4242", "--clear-groups", "unshare", "--user", "--map-root-user", "--mount",
				"sh", "-c", fake+rest, place, at("sandbox")+live.Sleep)
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Kill() // it sleeps for ever
				_ = cmd.Wait()
			}()
			if said, err := bufio.NewReader(out).ReadString('\n'); err != nil || said != "ready\n" {
				t.Fatalf("%q %v", said, err)
			}
			r := call(t, "ps", "-o", "json")
			var list struct{ Items []listed }
			if err := json.Unmarshal([]byte(r.stdout), &list); err != nil {
				t.Fatal(err)
			}
			for _, item := range list.Items {
				if slices.Contains(item.PIDs, 1) || slices.Contains(item.PIDs, int32(cmd.Process.Pid)) || slices.Contains(item.PIDs, int32(os.Getpid())) {
					t.Errorf("listed: %+v", item)
				}
			}
			if report, r := scanPID(t, cmd.Process.Pid); report != nil || r.exit != 1 {
				t.Errorf("scan ended with %d and report %+v\n%s", r.exit, report, r.stderr)
			}
		})
	}
}
