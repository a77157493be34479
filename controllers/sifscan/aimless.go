// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const (
	// aimlessDeaths are those of a worker's pods that no image can be blamed for. After so many the next pod will die the
	// same way, until somebody changes something.
	aimlessDeaths = 6
	// poisonImages may be in the share of one worker: each kills its pod until it is given up.
	poisonImages = 10
	// backoffLimit is how many pods of a worker may die. It counts for each worker: what one meets does not end the others,
	// which go on to their end when it gives up. The Job controller waits between two of them, for ten minutes from the
	// seventh on.
	backoffLimit = aimlessDeaths + v1alpha1.MaxDeaths*poisonImages
)

// aimless is how many pods of a worker died for no reason that an image gave: all but disruptions, less those that are, or
// may have been, an image's. The one that a pod of the worker has in hand now counts as if it had killed it.
func aimless(pods []*corev1.Pod, t *tally, worker int32) int {
	n := 0
	for _, pod := range dead(podsOf(pods, []int32{worker})) {
		if !disrupted(pod) {
			n++
		}
	}
	return n - t.blamed[worker]
}

// suspect notes the deaths that images in flight may have caused.
func (t *tally) suspect(worker int32, inFlight []v1alpha1.InFlight) {
	for _, f := range inFlight {
		t.blamed[worker] += max(int(f.Attempts), 0)
	}
}

// blame notes those that images with an outcome may have caused. A report tells why its image failed, which is not read
// here: each may have been given up.
func (t *tally) blame(worker int32, entries []v1alpha1.InventoryEntry) {
	for i := range entries {
		if entries[i].Outcome == v1alpha1.EntryFailed {
			t.blamed[worker] += v1alpha1.MaxDeaths
		}
	}
}

// tellDeath tells why a worker's pod died. Once that is no image's doing, it is what somebody has to know; the Job goes on
// trying, as it does where a cluster has no room for its pod.
func (p *pass) tellDeath(t *tally, d workerDeath) {
	if n := aimless(p.pods, t, d.worker); n > aimlessDeaths {
		stalled(d.reason, fmt.Sprintf("%s; %d pods have died so, and not because of single images; the next is tried after a while: %s",
			d.message, n, progressText(t))).apply(p.scan, p.now)
		return
	}
	waiting(d.reason, fmt.Sprintf("%s; a new pod goes on: %s", d.message, progressText(t))).apply(p.scan, p.now)
}
