// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestDeathOf(t *testing.T) {
	job := makeScan().job()
	pod := func() *podWrapper { return makePod(job).on("n1") }
	for _, tc := range []struct {
		name string
		pod  *podWrapper
		want cause
	}{
		{"out of memory: the limit, and the value to try",
			pod().scannerEnded(137, "OOMKilled", ""),
			cause{v1alpha1.ReasonOOMKilled, "the scanner needed more memory than its limit of 4Gi: raise spec.resources.limits.memory, for instance to 8Gi"}},
		{"out of memory without a limit is the node's",
			func() *podWrapper {
				p := pod().scannerEnded(137, "OOMKilled", "")
				p.Spec.Containers[0].Resources.Limits = nil
				return p
			}(),
			cause{v1alpha1.ReasonOOMKilled, "the node ran out of memory under the scanner: set spec.resources.requests.memory"}},
		{"a child alone was out of memory, and the scanner ended later for another reason",
			pod().scannerEnded(1, "OOMKilled", `{"reason":"ReportUnavailable","message":"no answer for 10m0s"}`),
			cause{v1alpha1.ReasonReportUnavailable, "the results could not be stored in the API: no answer for 10m0s"}},
		{"a child alone was out of memory, and the scanner has no other word",
			pod().scannerEnded(1, "OOMKilled", ""),
			cause{v1alpha1.ReasonOOMKilled, "the scanner needed more memory than its limit of 4Gi: raise spec.resources.limits.memory, for instance to 8Gi"}},
		{"the whole container was out of memory, as on cgroup v2, whatever the scanner had said before",
			pod().scannerEnded(137, "OOMKilled", `{"reason":"ReportUnavailable","message":"x"}`),
			cause{v1alpha1.ReasonOOMKilled, "the scanner needed more memory than its limit of 4Gi: raise spec.resources.limits.memory, for instance to 8Gi"}},
		{"evicted: kubelet says which volume was full",
			pod().failed("Evicted", `Usage of EmptyDir volume "results" exceeds the limit "512Mi".`),
			cause{v1alpha1.ReasonEvicted, `kubelet evicted the scan pod from node n1: Usage of EmptyDir volume "results" exceeds the limit "512Mi".`}},
		{"eviction outweighs the signal that it sent",
			pod().scannerEnded(143, "Error", "").failed("Evicted", "node pressure"),
			cause{v1alpha1.ReasonEvicted, "kubelet evicted the scan pod from node n1: node pressure"}},
		{"drained",
			pod().scannerEnded(143, "Error", "").condition(corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI", "Eviction API: evicting"),
			cause{v1alpha1.ReasonEvicted, "the scan pod was taken from node n1 (EvictionByEvictionAPI): Eviction API: evicting"}},
		{"a disruption that did not happen does not count",
			pod().scannerEnded(137, "OOMKilled", "").condition(corev1.DisruptionTarget, corev1.ConditionFalse, "x", ""),
			cause{v1alpha1.ReasonOOMKilled, "the scanner needed more memory than its limit of 4Gi: raise spec.resources.limits.memory, for instance to 8Gi"}},
		{"the node went away",
			pod().failed("NodeLost", "Node n1 which was running pod is unresponsive"),
			cause{v1alpha1.ReasonNodeGone, "node n1 went away under the scan pod: Node n1 which was running pod is unresponsive"}},
		{"the node is shut down",
			pod().failed("Terminated", "Pod was terminated in response to imminent node shutdown."),
			cause{v1alpha1.ReasonEvicted, "node n1 went away under the scan pod: Pod was terminated in response to imminent node shutdown."}},
		{"given up by the operator, since the node is silent",
			pod().phase(corev1.PodFailed).condition(corev1.DisruptionTarget, corev1.ConditionTrue, "NodeGone", "node n1 has not been ready since 2026-03-01T01:30:00Z"),
			cause{v1alpha1.ReasonNodeGone, "node n1 has not been ready since 2026-03-01T01:30:00Z"}},
		{"the Node was deleted",
			pod().phase(corev1.PodFailed).condition(corev1.DisruptionTarget, corev1.ConditionTrue, "DeletionByPodGC", "PodGC: node no longer exists"),
			cause{v1alpha1.ReasonNodeGone, "PodGC: node no longer exists"}},
		{"preempted",
			pod().scannerEnded(143, "Error", "").condition(corev1.DisruptionTarget, corev1.ConditionTrue, "PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod"),
			cause{v1alpha1.ReasonEvicted, "the scan pod was taken from node n1 (PreemptionByScheduler): default-scheduler: preempting to accommodate a higher priority pod"}},
		{"tmp is full: the field, and the value to try",
			pod().failed("Evicted", `Usage of EmptyDir volume "tmp" exceeds the limit "50Mi". `),
			cause{v1alpha1.ReasonTmpExhausted, "the scan wrote more to its tmp than the limit of 50Mi: raise spec.tmp.sizeLimit, for instance to 100Mi"}},
		{"the scanner's disk is full",
			pod().failed("Evicted", `Container scanner exceeded its local ephemeral storage limit "1Gi". `),
			cause{v1alpha1.ReasonTmpExhausted, "the scan pod kept more on its node's disk than the limit of 1Gi: raise spec.tmp.sizeLimit, and spec.resources.limits.ephemeral-storage, for instance to 2Gi where it is set"}},
		{"the pod's disk is full",
			pod().failed("Evicted", `Pod ephemeral local storage usage exceeds the total limit of containers 12928Mi. `),
			cause{v1alpha1.ReasonTmpExhausted, "the scan pod kept more on its node's disk than the limit of 12928Mi: raise spec.tmp.sizeLimit, and spec.resources.limits.ephemeral-storage, for instance to 25856Mi where it is set"}},
		{"the node's memory is short",
			pod().failed("Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. "),
			cause{v1alpha1.ReasonEvicted, "kubelet evicted the scan pod from node n1: The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. ; pods that use more than they ask for go first: raise spec.resources.requests.memory, or use other nodes"}},
		{"the pod's own deadline",
			pod().failed("DeadlineExceeded", "Pod was active on the node longer than the specified deadline"),
			cause{v1alpha1.ReasonDeadlineExceeded, "the scan pod ran longer than spec.deadline: Pod was active on the node longer than the specified deadline"}},
		{"kubelet refused the pod",
			pod().failed("OutOfcpu", "Node didn't have enough resource: cpu"),
			cause{v1alpha1.ReasonUnschedulable, "node n1 refused the scan pod (OutOfcpu): Node didn't have enough resource: cpu"}},
		{"the site's engine is not in the image that should hold it",
			pod().copierEnded(1, "Error", "node-agent: copy /qscanner to /engine/qscanner: open /qscanner: no such file or directory"),
			cause{v1alpha1.ReasonEngineFailed, "container copy-engine, which prepares the scan, ended with exit code 1 (Error): node-agent: copy /qscanner to /engine/qscanner: open /qscanner: no such file or directory"}},
		{"exit code 1: what the scanner says of the API",
			pod().scannerEnded(1, "Error", `{"reason":"ReportUnavailable","message":"no answer for 10m0s"}`),
			cause{v1alpha1.ReasonReportUnavailable, "the results could not be stored in the API: no answer for 10m0s"}},
		{"exit code 1 without a word",
			pod().scannerEnded(1, "Error", ""),
			cause{v1alpha1.ReasonReportUnavailable, "the results could not be stored in the API"}},
		{"exit code 2: two versions",
			pod().scannerEnded(2, "Error", ""),
			cause{v1alpha1.ReasonEngineFailed, "the agent does not understand the operator's command line (exit code 2): use operator and agent images of the same version"}},
		{"exit code 2, and the reporter says that the scanner crashed",
			pod().scannerEnded(2, "Error", "").reporterEnded(134),
			cause{v1alpha1.ReasonEngineFailed, "the scanner crashed, which is a defect of it: kubectl -n hpc logs " + pod().Name + " -c scanner says where"}},
		{"exit code 2: two versions, and a reporter that was ended",
			pod().scannerEnded(2, "Error", "").reporterEnded(143),
			cause{v1alpha1.ReasonEngineFailed, "the agent does not understand the operator's command line (exit code 2): use operator and agent images of the same version"}},
		{"exit code 0 in a failed pod: the reporter",
			pod().scannerEnded(0, "Completed", "").phase(corev1.PodFailed),
			cause{v1alpha1.ReasonReportUnavailable, "the scanner ended well and the pod did not: the reporter failed; see its log"}},
		{"killed by nobody we know",
			pod().scannerEnded(137, "Error", ""),
			cause{v1alpha1.ReasonEngineFailed, "the scanner was ended by signal 9"}},
		{"the runtime could not start it",
			pod().scannerEnded(128, "StartError", "exec: \x1b[2Jno such file"),
			cause{v1alpha1.ReasonEngineFailed, `the scanner ended with exit code 128 (StartError): exec: \u{1b}[2Jno such file`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, dead := deathOf(tc.pod.obj()); !dead || got != tc.want {
				t.Errorf("deathOf = %q, %v\nwant      %q", got, dead, tc.want)
			}
		})
	}
}

// No field of a SIFScan limits a scan of running containers: the API refuses spec.resources and spec.tmp there.
func TestDeathOfANodesPod(t *testing.T) {
	pod := func(keys ...string) *podWrapper {
		scan := makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj()
		return makePod(JobInputs{Scan: scan, Run: RunID(scan), Workers: 1, Config: nodeConfig()}.nodeJob(nodeWork{name: "j", node: "n1", keys: keys})).on("n1")
	}
	const raise = ": ask the operator's administrator to raise "
	for name, tc := range map[string]struct {
		pod  *podWrapper
		want cause
	}{
		"out of memory: the operator's flag, and the value to try": {
			pod(key("a")).scannerEnded(137, "OOMKilled", ""),
			cause{v1alpha1.ReasonOOMKilled, "the scanner needed more memory than its limit of 2Gi" + raise + "--node-scans-memory-limit, for instance to 4Gi"}},
		"tmp is full": {
			pod(key("a")).failed("Evicted", `Usage of EmptyDir volume "tmp" exceeds the limit "10Gi". `),
			cause{v1alpha1.ReasonTmpExhausted, "the scan wrote more to its tmp than the limit of 10Gi" + raise + "--node-scans-tmp-limit, for instance to 20Gi"}},
		"the scanner's disk is full": {
			pod(key("a")).failed("Evicted", `Container scanner exceeded its local ephemeral storage limit "12Gi". `),
			cause{v1alpha1.ReasonTmpExhausted, "the scan pod kept more on its node's disk than the limit of 12Gi" + raise + "--node-scans-tmp-limit"}},
		"the node's memory is short": {
			pod(key("a")).failed("Evicted", "The node was low on resource: memory. "),
			cause{v1alpha1.ReasonEvicted, "kubelet evicted the scan pod from node n1: The node was low on resource: memory. ; scans of running containers reserve nothing, so that they go first"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, dead := deathOf(tc.pod.obj()); !dead || got != tc.want {
				t.Errorf("deathOf = %q, %v\nwant      %q", got, dead, tc.want)
			}
		})
	}
}

func TestWhatANodesScannerNeededIsSaidWithTheNodeAndWhatHelps(t *testing.T) {
	scan := makeLive(v1alpha1.RunningTarget{NodeName: "n1"}).obj()
	for want, keys := range map[string][]string{
		"on node n1, the scanner needed more memory than its limit of 2Gi: ask the operator's administrator to raise --node-scans-memory-limit, for instance to 4Gi":                                   {key("a")},
		"on node n1, the scanner needed more memory than its limit of 256Mi, which every list of a node's containers has: let spec.target.running select fewer of them, for instance by a podSelector": nil,
	} {
		job := JobInputs{Scan: scan, Run: RunID(scan), Workers: 1, Config: nodeConfig()}.nodeJob(nodeWork{name: "j", node: "n1", keys: keys})
		job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonBackoffLimitExceeded}}
		task := nodeTask{job: cached(job), pod: makePod(job).on("n1").scannerEnded(137, "OOMKilled", "").obj()}
		if got := task.verdict(); got != (cause{v1alpha1.ReasonOOMKilled, want}) {
			t.Errorf("verdict %q\nwant    %q", got, want)
		}
	}
}

func TestALivingPodIsNotDead(t *testing.T) {
	job := makeScan().job()
	for name, pod := range map[string]*corev1.Pod{
		"no pod":        nil,
		"pending":       makePod(job).obj(),
		"running":       makePod(job).phase(corev1.PodRunning).obj(),
		"succeeded":     makePod(job).scannerEnded(0, "Completed", "").obj(),
		"about to fail": makePod(job).scannerEnded(1, "Error", "").phase(corev1.PodRunning).obj(),
	} {
		if got, dead := deathOf(pod); dead {
			t.Errorf("%s: deathOf = %q", name, got)
		}
	}
}
