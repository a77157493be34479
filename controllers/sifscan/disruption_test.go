// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestWhichEndsOfAPodSayNothingOfItsImage(t *testing.T) {
	job := makeScan().job()
	pod := func() *podWrapper { return makePod(job).on("n1") }
	deleted := func(p *podWrapper) *podWrapper {
		p.DeletionTimestamp = ptr.To(metav1.Now())
		return p
	}
	for name, tc := range map[string]struct {
		pod  *podWrapper
		want bool
	}{
		"out of memory":                         {pod().scannerEnded(137, "OOMKilled", ""), false},
		"out of memory, and deleted later":      {deleted(pod().scannerEnded(137, "OOMKilled", "")), false},
		"killed by nobody we know":              {pod().scannerEnded(137, "Error", ""), false},
		"crashed":                               {pod().scannerEnded(139, "Error", ""), false},
		"ended by itself":                       {pod().scannerEnded(1, "Error", ""), false},
		"its tmp was full":                      {pod().failed("Evicted", `Usage of EmptyDir volume "tmp" exceeds the limit "50Mi". `).condition(corev1.DisruptionTarget, corev1.ConditionTrue, "TerminationByKubelet", ""), false},
		"its node was short of memory":          {pod().scannerEnded(143, "Error", "").failed("Evicted", "The node was low on resource: memory. ").condition(corev1.DisruptionTarget, corev1.ConditionTrue, "TerminationByKubelet", ""), false},
		"drained":                               {pod().scannerEnded(143, "Error", "").condition(corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI", ""), true},
		"drained, and hung until it was killed": {pod().scannerEnded(137, "Error", "").condition(corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI", ""), true},
		"preempted":                             {pod().scannerEnded(143, "Error", "").condition(corev1.DisruptionTarget, corev1.ConditionTrue, "PreemptionByScheduler", ""), true},
		"a disruption that did not happen":      {pod().scannerEnded(137, "OOMKilled", "").condition(corev1.DisruptionTarget, corev1.ConditionFalse, "x", ""), false},
		"its node is gone":                      {pod().phase(corev1.PodFailed).condition(corev1.DisruptionTarget, corev1.ConditionTrue, "NodeGone", ""), true},
		"its node was shut down":                {pod().scannerEnded(143, "Error", "").failed("Terminated", "node shutdown").condition(corev1.DisruptionTarget, corev1.ConditionTrue, "TerminationByKubelet", ""), true},
		"its node was started anew":             {pod().scannerEnded(255, "Unknown", ""), true},
		"kubelet lost sight of it":              {pod().scannerEnded(137, "ContainerStatusUnknown", ""), true},
		"deleted by somebody":                   {deleted(pod().scannerEnded(143, "Error", "")), true},
		"deleted by somebody while it hung":     {deleted(pod().scannerEnded(137, "Error", "")), true},
		"the run's deadline":                    {pod().scannerEnded(143, "Error", "").failed("DeadlineExceeded", ""), true},
		"never begun":                           {pod().failed("OutOfcpu", ""), true},
	} {
		if got := disrupted(tc.pod.obj()); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestADeathIsNotedOnceAndADisruptionDoesNotTakeItsReason(t *testing.T) {
	job := makeScan().job()
	oom := makePod(job).on("n1").scannerEnded(137, "OOMKilled", "").obj()
	oom.UID = "p1"
	drain := makePod(job).on("n1").scannerEnded(143, "Error", "").condition(corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI", "").obj()
	drain.UID = "p2"
	why := func(p *corev1.Pod) cause { c, _ := deathOf(p); return c }

	note := func(on *metav1.ObjectMeta, p *corev1.Pod, wantWritten bool, death, judged string) {
		t.Helper()
		if got := noteDeath(on, p, why(p)); got != wantWritten {
			t.Errorf("written: %t", got)
		}
		if got := on.Annotations[v1alpha1.AnnotationJudged]; got != judged {
			t.Errorf("judged %q, want %q", got, judged)
		}
		if got := on.Annotations[v1alpha1.AnnotationLastDeath]; len(got) < len(death) || got[:len(death)] != death {
			t.Errorf("death %q, want %s", got, death)
		}
	}
	inventory := &metav1.ObjectMeta{}
	note(inventory, drain, true, "Evicted: ", "p2/disruption") // better than nothing
	note(inventory, oom, true, "OOMKilled: ", "p1/death")
	note(inventory, oom, false, "OOMKilled: ", "p1/death")
	note(inventory, drain, true, "OOMKilled: ", "p2/disruption")
	note(inventory, drain, false, "OOMKilled: ", "p2/disruption")
}
