// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// exitOf is the exit code of a container of a pod; -1 while it has none.
func exitOf(statuses []corev1.ContainerStatus, container string) int32 {
	for _, s := range statuses {
		if s.Name == container && s.State.Terminated != nil {
			return s.State.Terminated.ExitCode
		}
	}
	return -1
}

var _ = It("A scanner that crashes in Go's runtime has the exit code of a usage error, and another pod goes on", Label("faults"), func() {
	scan := busySite().busyScan().create()
	scanner := holdMidway(scan)
	scanner.signal(unix.SIGQUIT) // the runtime ends as where nothing can be recovered
	scanner.signal(unix.SIGCONT)

	Eventually(get(scan)).WithTimeout(recovery).Should(beDone())
	Expect(jobsOf(scan)).To(HaveLen(1))
	Expect(podsOf(scan)).To(ConsistOf(
		And(HaveField("Status.Phase", corev1.PodFailed),
			WithTransform(func(p corev1.Pod) int32 { return exitOf(p.Status.ContainerStatuses, "scanner") }, BeEquivalentTo(2)),
			WithTransform(func(p corev1.Pod) int32 { return exitOf(p.Status.InitContainerStatuses, "reporter") }, BeEquivalentTo(134))),
		HaveField("Status.Phase", corev1.PodSucceeded)))
	expectAllScannedOnce(scan, nil)
})
