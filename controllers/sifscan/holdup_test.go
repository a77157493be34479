// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
			got, ok := holdupOf(tc.pod.obj(), epoch.Add(time.Hour))
			if !ok || got.cause != tc.want || !got.since.Equal(tc.since) {
				t.Errorf("holdupOf = %q since %v, %v\nwant       %q since %v", got.cause, got.since, ok, tc.want, tc.since)
			}
		})
	}
}

func TestAPodThatIsNotSetUpForAMinuteIsHeldUp(t *testing.T) {
	bound := func(change func(*podWrapper)) *corev1.Pod {
		p := makePod(makeScan().job()).on("n1").condition(corev1.PodScheduled, corev1.ConditionTrue, "", "").
			condition(corev1.PodReadyToStartContainers, corev1.ConditionFalse, "", "").
			waits(reporterContainer, "PodInitializing", "").waits(scannerContainer, "PodInitializing", "")
		change(p)
		return p.obj()
	}
	since := epoch.Add(2 * time.Second) // that of conditions
	for _, tc := range []struct {
		name  string
		pod   *corev1.Pod
		after time.Duration
		want  bool
		// look again then; 0: only if something happens.
		look time.Duration
	}{
		{"a volume does not mount", bound(func(*podWrapper) {}), setUpPatience, true, 0},
		{"it may still come", bound(func(*podWrapper) {}), setUpPatience - time.Second, false, time.Second},
		{"an image is pulled: volumes and network are there", bound(func(p *podWrapper) { p.Status.Conditions[1].Status = corev1.ConditionTrue }), time.Hour, false, 0},
		{"kubelet has said nothing yet: its node may be gone", bound(func(p *podWrapper) { p.Status.Conditions = p.Status.Conditions[:1] }), time.Hour, false, 0},
		{"no node yet, and no word of the scheduler", bound(func(p *podWrapper) { p.Status.Conditions = p.Status.Conditions[1:] }), time.Hour, false, 0},
		{"its sandbox was lost while it ran", bound(func(p *podWrapper) { p.phase(corev1.PodRunning) }), time.Hour, false, 0},
		{"one of its containers ran", bound(func(p *podWrapper) {
			p.Status.InitContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		}), time.Hour, false, 0},
		{"it is deleted", bound(func(p *podWrapper) { p.DeletionTimestamp = &metav1.Time{Time: epoch} }), time.Hour, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, is := holdupOf(tc.pod, since.Add(tc.after))
			if is != tc.want {
				t.Errorf("held up: %v, %q", is, got.cause)
			}
			if is && (got.reason != v1alpha1.ReasonVolumeNotFound || !got.since.Equal(since) || !strings.Contains(got.message, "see kubectl -n hpc describe pod "+tc.pod.Name)) {
				t.Errorf("%q since %v", got.cause, got.since)
			}
			if left := crewOf([]*corev1.Pod{tc.pod}, since.Add(tc.after)).look; left != tc.look {
				t.Errorf("looked at again after %v, want %v", left, tc.look)
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
		if got, held := holdupOf(pod, epoch.Add(time.Hour)); held {
			t.Errorf("%s: holdupOf = %q", name, got.cause)
		}
	}
}
