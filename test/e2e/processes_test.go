// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// process is the first process of a container, seen from this machine.
type process struct{ pid int }

// processOf finds the process of a pod's container; false when it does not run.
func processOf(pod *corev1.Pod, container string) (process, bool) {
	for _, status := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if status.Name != container || status.State.Running == nil {
			continue
		}
		_, id, _ := strings.Cut(status.ContainerID, "://")
		groups, _ := filepath.Glob("/proc/[0-9]*/cgroup") // the pattern is well-formed
		for _, group := range groups {
			text, err := os.ReadFile(group)
			if err != nil || !strings.Contains(string(text), id) {
				continue // ended meanwhile, or another's
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(group)))
			return process{pid}, err == nil
		}
	}
	return process{}, false
}

// subcommands of the agent, by the container that it runs in.
var subcommands = map[string]string{"scanner": scannerCommand, "reporter": reporterCommand, "opener": openerCommand}

// awaitProcess waits until the agent runs in a container of a SIFScan's pod. It does not wait for kubelet to tell so, which may be
// after a small scan is over.
func awaitProcess(scan *v1alpha1.SIFScan, container string) process {
	GinkgoHelper()
	var found process
	Eventually(func() bool {
		for _, pod := range podsOf(scan) {
			if p, ok := agentOf(pod.UID, subcommands[container]); ok {
				found = p
				return true
			}
		}
		return false
	}).WithPolling(pollClosely).Should(BeTrue(), "container %s never ran", container)
	return found
}

// file returns the path of a file of /proc about the process.
func (p process) file(name string) string { return fmt.Sprintf("/proc/%d/%s", p.pid, name) }

// inside returns the path at which this machine sees a file of the container.
func (p process) inside(path string) string { return p.file("root") + path }

// status returns a field of /proc/<pid>/status (proc_pid_status(5)).
func (p process) status(field string) string {
	GinkgoHelper()
	text, err := os.ReadFile(p.file("status"))
	Expect(err).NotTo(HaveOccurred())
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	Fail("the kernel tells no " + field)
	return ""
}

// mounts returns the options with which the container sees each mount point (proc_pid_mountinfo(5)).
func (p process) mounts() map[string]string {
	GinkgoHelper()
	text, err := os.ReadFile(p.file("mountinfo"))
	Expect(err).NotTo(HaveOccurred())
	mounts := map[string]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		mounts[fields[4]] = fields[5]
	}
	return mounts
}

func (p process) alive() bool { return unix.Kill(p.pid, 0) == nil }

func (p process) signal(signal unix.Signal) {
	GinkgoHelper()
	Expect(unix.Kill(p.pid, signal)).To(Succeed())
}

// many is how many images a volume has whose scan is stopped in its middle, and manyLimit the
// share of a CPU that the scan gets: it then takes some seconds, whatever the machine.
const (
	many      = 40
	manyLimit = "200m"
)

// busySite has many images.
func busySite() *site {
	GinkgoHelper()
	paths := make([]string, many)
	for i := range paths {
		paths[i] = fmt.Sprintf("%02d.sif", i)
	}
	return newSite().image(alpine, paths...)
}

// busyScan scans a busySite.
func (s *site) busyScan() wrapper { return s.scan().limit(corev1.ResourceCPU, manyLimit) }

// holdMidway stops the scanner once some images are reported and others are not, as a scan of
// thousands of images is for hours. It goes on with SIGCONT, and at the end of the spec.
func holdMidway(scan *v1alpha1.SIFScan) process {
	GinkgoHelper()
	scanner := awaitProcess(scan, "scanner")
	DeferCleanup(func() { _ = unix.Kill(scanner.pid, unix.SIGCONT) }) // most have ended by then
	reports := &v1alpha1.ScanReportList{}
	list := func() ([]v1alpha1.ScanReport, error) {
		err := admin.List(ctx, reports, client.InNamespace(scan.Namespace))
		return reports.Items, err
	}
	// It goes on for moments: what it read is reported while it stands still, however long that takes here.
	Eventually(func() ([]v1alpha1.ScanReport, error) {
		scanner.signal(unix.SIGCONT)
		time.Sleep(pollClosely)
		scanner.signal(unix.SIGSTOP)
		return list()
	}).WithPolling(pollClosely).ShouldNot(BeEmpty())
	Expect(list()).To(WithTransform(func(all []v1alpha1.ScanReport) int { return len(all) }, BeNumerically("<", many/2)),
		"the scan was too fast to be stopped in its middle")
	return scanner
}

// goOnToEnd has a process that was stopped go on once it is told to end, so that it does nothing else before.
func (p process) goOnToEnd() {
	GinkgoHelper()
	Eventually(func() (uint64, error) {
		pending, err := strconv.ParseUint(p.status("ShdPnd"), 16, 64)
		return pending & (1 << (unix.SIGTERM - 1)), err
	}).ShouldNot(BeZero(), "nobody ends it")
	p.signal(unix.SIGCONT)
}
