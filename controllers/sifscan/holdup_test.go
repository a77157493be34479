// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestHoldupOf(t *testing.T) {
	job := makeScan().job()
	pod := func() *podWrapper { return makePod(job).on("n1") }
	created, condition := epoch.Add(time.Second), epoch.Add(2*time.Second)
	for _, tc := range []struct {
		name  string
		pod   *podWrapper
		want  cause
		since time.Time
	}{
		{"no node fits",
			pod().condition(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "0/3 nodes are available: 3 Insufficient memory."),
			cause{v1alpha1.ReasonUnschedulable, "no node takes the scan pod: 0/3 nodes are available: 3 Insufficient memory."}, condition},
		{"the reporter's image cannot be pulled",
			pod().waits(reporterContainer, "ImagePullBackOff", "not found"),
			cause{v1alpha1.ReasonImagePullFailed, "node n1 cannot get image sifscan.io/sifscan-node-agent:dev (ImagePullBackOff): not found"}, created},
		{"the image has a wrong name",
			pod().waits(scannerContainer, "InvalidImageName", "couldn't parse"),
			cause{v1alpha1.ReasonImagePullFailed, "node n1 cannot get image sifscan.io/sifscan-node-agent:dev (InvalidImageName): couldn't parse"}, created},
		{"the subPath is not there",
			pod().waits(scannerContainer, "CreateContainerConfigError", `failed to prepare subPath for volumeMount "target" of container "scanner"`),
			cause{v1alpha1.ReasonVolumeNotFound, `the subPath of spec.target is not a folder of the volume: failed to prepare subPath for volumeMount "target" of container "scanner"`}, created},
		{"a Secret is not there",
			pod().waits(scannerContainer, "CreateContainerConfigError", `secret "a" not found`),
			cause{v1alpha1.ReasonCredentialsMissing, `the scan pod refers to something that is not there: secret "a" not found; create it, or correct its name in the spec: the scan goes on by itself`}, created},
		{"a Secret for nodes is not there",
			func() *podWrapper {
				p := pod().waits(scannerContainer, "CreateContainerConfigError", `secret "a" not found`)
				p.Namespace = NodeScansNamespace
				return p
			}(),
			cause{v1alpha1.ReasonCredentialsMissing, `the scan pod refers to something that is not there: secret "a" not found; ask the operator's administrator to create it in Namespace sifscan-node`}, created},
		{"the runtime cannot make the container",
			pod().waits(scannerContainer, "CreateContainerError", "no command specified"),
			cause{v1alpha1.ReasonEngineFailed, "container scanner does not start (CreateContainerError): no command specified"}, created},
		{"the reporter ends again and again",
			func() *podWrapper {
				p := pod().waits(reporterContainer, "CrashLoopBackOff", "back-off 5m0s")
				p.Status.InitContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1, Message: "forbidden"}
				return p
			}(),
			cause{v1alpha1.ReasonReportUnavailable, "the reporter keeps ending with exit code 1: forbidden; see its log"}, created},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := holdupOf(tc.pod.obj())
			if !ok || got.cause != tc.want || !got.since.Equal(tc.since) {
				t.Errorf("holdupOf = %q since %v, %v\nwant       %q since %v", got.cause, got.since, ok, tc.want, tc.since)
			}
		})
	}
}

func TestAPodThatIsOnItsWayIsNotHeldUp(t *testing.T) {
	job := makeScan().job()
	for name, pod := range map[string]*corev1.Pod{
		"no pod":               nil,
		"just made":            makePod(job).obj(),
		"creating containers":  makePod(job).waits(reporterContainer, "PodInitializing", "").waits(scannerContainer, "PodInitializing", "").obj(),
		"running":              makePod(job).phase(corev1.PodRunning).condition(corev1.PodScheduled, corev1.ConditionTrue, "", "").obj(),
		"failed long ago":      makePod(job).waits(scannerContainer, "ImagePullBackOff", "").phase(corev1.PodFailed).obj(),
		"a container creating": makePod(job).waits(scannerContainer, "ContainerCreating", "").obj(),
	} {
		if got, held := holdupOf(pod); held {
			t.Errorf("%s: holdupOf = %q", name, got.cause)
		}
	}
}
