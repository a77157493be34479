// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"math"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestAWorkerSurvivesItsPoisonImages(t *testing.T) {
	const asked = 5
	job := makeScan().job()
	if got, least := *job.Spec.BackoffLimitPerIndex, int32(v1alpha1.MaxDeaths*asked+aimlessDeaths); got < least {
		t.Errorf("a worker's pods may die %d times: %d images that kill each twice, and what else happens, need %d", got, asked, least)
	}
}

func TestDeathsThatNoImageIsBlamedForAreToldAsWhatSomebodyHasToChange(t *testing.T) {
	poison := func(deaths ...int32) *inventoryWrapper {
		i := makeInventory(someJob, 0, 0).total(20)
		for _, n := range deaths {
			i.Worker.InFlight = append(i.Worker.InFlight, v1alpha1.InFlight{Path: "m.sif", Attempts: n})
		}
		return i
	}
	second := makeInventory(someJob, 0, 1)
	second.Worker = poison(2, 2).Worker // which every chunk repeats
	for name, tc := range map[string]struct {
		pods    string
		tally   *tally
		stalled bool
	}{
		"a few deaths":                         {"dddddd", tallied(poison()), false},
		"one more":                             {"ddddddd", tallied(poison()), true},
		"one more, before there is a list":     {"ddddddd", newTally(), true},
		"one of them is an image's":            {"ddddddd", tallied(poison(1)), false},
		"all are those of five images":         {"dddddddddd", tallied(poison(2, 2, 2, 2, 2)), false},
		"images were given up before":          {"dddddddddd", tallied(poison().entries(2, v1alpha1.EntryFailed)), false},
		"they were read":                       {"dddddddddd", tallied(poison().entries(2, v1alpha1.EntryScanned)), true},
		"told by two chunks they are no more":  {"ddddddddddd", tallied(poison(2, 2), second), true},
		"drained":                              {"xxxxxxxxxd", tallied(poison()), false},
		"images have as many as a field holds": {"ddddddd", tallied(poison(math.MaxInt32, math.MaxInt32)), false},
	} {
		t.Run(name, func(t *testing.T) {
			pods := podsLike(makeScan().job(), strings.ReplaceAll(tc.pods, "x", "d"))
			for i, letter := range tc.pods {
				if letter == 'x' {
					pods[i].Status.Conditions = append(pods[i].Status.Conditions,
						corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI"})
				}
			}
			p := &pass{scan: makeScan().obj(), now: epoch}
			p.pods = pods
			p.tellDeath(tc.tally, crewOf(pods, epoch).died[0])
			if got := meta.IsStatusConditionTrue(p.scan.Status.Conditions, v1alpha1.ConditionStalled); got != tc.stalled {
				t.Errorf("stalled: %t", got)
			}
			ready := meta.FindStatusCondition(p.scan.Status.Conditions, v1alpha1.ConditionReady)
			if ready == nil || ready.Reason != v1alpha1.ReasonOOMKilled || p.scan.Status.CompletionTime != nil {
				t.Errorf("ready: %+v", ready)
			}
		})
	}
}
