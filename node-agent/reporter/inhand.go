// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"sort"
	"strconv"
	"strings"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// inHand is the image that the scanner reads, or read when it ended.
type inHand struct {
	path  string // empty: none
	state string // one of v1alpha1.InHand…
}

func (in *inventory) begun(path string) { in.inHand = inHand{path, v1alpha1.InHandReading} }

// released notes that the image has no part in what ends its scan. It stays in hand: kubelet tells a scanner to end, too,
// whose image took more than its pod may have.
func (in *inventory) released(path string) {
	if in.inHand.path == path {
		in.inHand.state = v1alpha1.InHandReleased
	}
}

// ended notes that the scanner is gone.
func (in *inventory) ended() {
	switch in.inHand.state {
	case v1alpha1.InHandReading:
		in.inHand.state = v1alpha1.InHandLost
		in.dirty = true
	case v1alpha1.InHandReleased:
		in.dirty = true
	}
}

// blameless tells whether an earlier pod ended through no fault of the image that it had in hand, the first in flight. A
// death is what a reporter saw that outlived its scanner, or what the controller calls one: a drain, a preemption and a node
// that went away with all it had fail no image, however often. An inventory that names no image in hand counts as it is.
func blameless(annotations map[string]string) bool {
	hand, ok := annotations[v1alpha1.AnnotationInHand]
	if !ok {
		return false
	}
	pod, state, _ := strings.Cut(hand, "/")
	if judged, verdict, _ := strings.Cut(annotations[v1alpha1.AnnotationJudged], "/"); pod != "" && judged == pod {
		return verdict == v1alpha1.DeathByDisruption
	}
	return state != v1alpha1.InHandLost
}

// annotations of a chunk: the controller's, which an update must not remove, how far it is, and on the first what else the worker says.
func (in *inventory) annotations(chunk int) map[string]string {
	all := withAll(nil, in.chunks[chunk].annotations)
	delete(all, v1alpha1.AnnotationInHand)
	delete(all, v1alpha1.AnnotationProgress)
	if !in.last() {
		all[v1alpha1.AnnotationProgress] = in.progress(chunk)
	}
	if chunk > 0 {
		return all
	}
	if in.inHand.path != "" {
		all[v1alpha1.AnnotationInHand] = in.opts.PodUID + "/" + in.inHand.state
	}
	if in.notStored != "" && all[v1alpha1.AnnotationNotStored] == "" {
		all[v1alpha1.AnnotationNotStored] = in.notStored
	}
	return all
}

// last says whether the run is through: nobody follows it any more, what it comes to is counted from the entries. The operator holds
// the annotations of each inventory for as long as there is its Job, which for 10,000 SIFScans of an image would be 5 MiB.
func (in *inventory) last() bool {
	return in.opts.Workers <= 1 && in.total != nil && in.done >= int(*in.total)
}

// progress says in short what a chunk's entries say, for who follows a run and reads none of them.
func (in *inventory) progress(chunk int) string {
	counts := map[v1alpha1.EntryOutcome]int{}
	for _, it := range in.items[in.chunks[chunk].from:in.chunks[chunk].to] {
		if it.entry != nil {
			counts[it.entry.Outcome]++
		}
	}
	var numbers []string
	for _, outcome := range outcomes {
		numbers = append(numbers, strconv.Itoa(counts[outcome]))
	}
	if in.total != nil {
		numbers = append(numbers, strconv.Itoa(int(*in.total)))
	}
	return strings.Join(numbers, "/")
}

// suspects are the image in hand, and then those that killed an earlier pod and have no outcome yet, worst first.
func (in *inventory) suspects() []v1alpha1.InFlight {
	list := make([]v1alpha1.InFlight, 0, len(in.attempts)+1)
	for path, n := range in.attempts {
		if path != in.inHand.path {
			list = append(list, v1alpha1.InFlight{Path: path, Attempts: n})
		}
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].Attempts != list[j].Attempts {
			return list[i].Attempts > list[j].Attempts
		}
		return list[i].Path < list[j].Path
	})
	if path := in.inHand.path; path != "" {
		list = append([]v1alpha1.InFlight{{Path: path, Attempts: in.attempts[path] + 1}}, list...)
	}
	const most = 64 // the API's bound
	return list[:min(len(list), most)]
}
