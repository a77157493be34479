// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// podOf is the inventory of a pod that goes on with what another left; nil: nobody did.
func podOf(uid string, left *v1alpha1.ScanInventory) *inventory {
	o := options()
	o.PodUID = uid
	in := newInventory(o)
	if left != nil {
		in.resume(left)
	}
	return in
}

func TestAnImageIsBlamedForADeathAndNotForADisruption(t *testing.T) {
	reading := func(in *inventory) { in.begun("m.sif") }
	died := func(in *inventory) { in.begun("m.sif"); in.ended() }
	told := func(in *inventory) { in.begun("m.sif"); in.released("m.sif"); in.ended() }
	for name, tc := range map[string]struct {
		pod  func(*inventory)
		says string // the controller
		want map[string]int32
	}{
		"the scanner died under its reporter":                          {died, "", map[string]int32{"m.sif": 1}},
		"the scanner was told to end":                                  {told, "", nil},
		"nothing is known of the end: the node went with both":         {reading, "", nil},
		"the scanner died, says the controller too":                    {died, "p1/death", map[string]int32{"m.sif": 1}},
		"the scanner was stopped until the grace period of a drain":    {died, "p1/disruption", nil},
		"the scanner was told to end by a kubelet whose disk was full": {told, "p1/death", map[string]int32{"m.sif": 1}},
		"the reporter could not write, and the controller saw an OOM":  {reading, "p1/death", map[string]int32{"m.sif": 1}},
		"what the controller says is of an earlier pod, which died":    {told, "p0/death", nil},
		"what the controller says is of an earlier pod, drained":       {died, "p0/disruption", map[string]int32{"m.sif": 1}},
		"the image had its outcome": {func(in *inventory) {
			in.begun("m.sif")
			in.entry("m.sif", v1alpha1.EntryScanned, "sr-m")
			in.ended()
		}, "p1/death", nil},
		"another was released before": {func(in *inventory) {
			in.begun("a.sif")
			in.released("a.sif")
			in.begun("m.sif")
			in.released("a.sif") // told again, later
			in.ended()
		}, "", map[string]int32{"m.sif": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			first := podOf("p1", nil)
			tc.pod(first)
			left := first.object(0)
			if tc.says != "" {
				left.Annotations = withAll(left.Annotations, map[string]string{v1alpha1.AnnotationJudged: tc.says})
			}
			second := podOf("p2", left)
			got := second.attempts
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if _, still := second.object(0).Annotations[v1alpha1.AnnotationInHand]; still {
				t.Error("the second pod has nothing in hand yet, and says so of the first")
			}
		})
	}
}

func TestNoNumberOfDisruptionsAddsUp(t *testing.T) {
	var left *v1alpha1.ScanInventory
	for _, uid := range []string{"p1", "p2", "p3", "p4"} {
		in := podOf(uid, left)
		if len(in.attempts) > 0 {
			t.Fatalf("%s: %v", uid, in.attempts)
		}
		in.begun("long.sif")
		in.released("long.sif")
		in.ended()
		left = in.object(0)
	}
	// One death is one, however many disruptions came before it and after.
	died := podOf("p5", left)
	died.begun("long.sif")
	died.ended()
	drained := podOf("p6", died.object(0))
	drained.begun("long.sif")
	drained.released("long.sif")
	drained.ended()
	if got := podOf("p7", drained.object(0)).attempts["long.sif"]; got != 1 {
		t.Errorf("%d deaths, want 1", got)
	}
}

func TestWhoIsInHandIsFirstAndNeverLeftOut(t *testing.T) {
	in := podOf("p1", nil)
	for _, c := range "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-#" {
		in.attempts[string(c)] = 2
	}
	in.begun("m.sif")
	list := in.suspects()
	if len(list) != 64 || list[0] != (v1alpha1.InFlight{Path: "m.sif", Attempts: 1}) {
		t.Errorf("%d in flight, first %+v", len(list), list[0])
	}
}
