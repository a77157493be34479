// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"testing"

	"k8s.io/utils/ptr"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// runningWell is a run that read two images of what runs on a node.
func runningWell() *run {
	r := wellEnded()
	r.scan.Spec.Target.Running = &v1alpha1.RunningTarget{}
	r.inventories = []v1alpha1.ScanInventory{{
		Worker: v1alpha1.InventoryWorker{Done: 2, Total: ptr.To[int32](2)},
		Entries: []v1alpha1.InventoryEntry{
			{Path: "a.sif", Outcome: v1alpha1.EntryScanned, Report: "sr-a"}, {Path: "b.sif", Outcome: v1alpha1.EntryScanned, Report: "sr-b"},
		},
		Containers: []v1alpha1.InventoryContainer{
			{Key: "v1-1", Image: "a.sif", Report: "sr-a", User: 1, PIDs: []int32{7, 8}, Ranks: 2, Since: began, Coverage: v1alpha1.CoverageComplete},
			{Key: "v1-2", Image: "b.sif", Report: "sr-b", User: 1, PIDs: []int32{9}, Ranks: 1, Since: began, Coverage: v1alpha1.CoverageComplete},
		},
	}}
	r.scan.Status.Inventories = 1
	r.scan.Status.Nodes = &v1alpha1.NodeCounts{Selected: 1, Done: 1}
	r.scan.Status.Containers = &v1alpha1.ContainerCounts{Found: 3, Images: 2}
	return r
}

// listingWell is a run that told what runs on the node, and read nothing.
func listingWell() *run {
	r := runningWell()
	r.scan.Spec.Target.Running.ListOnly = true
	r.scan.Status.Targets, r.scan.Status.Summary = nil, nil
	r.inventories[0].Entries, r.inventories[0].Worker = nil, v1alpha1.InventoryWorker{Total: ptr.To[int32](0)}
	for i := range r.inventories[0].Containers {
		r.inventories[0].Containers[i].Report, r.inventories[0].Containers[i].Coverage = "", ""
	}
	return r
}

func TestASIFScanOfWhatRunsContradicts(t *testing.T) {
	for name, c := range map[string]struct {
		run    func() *run
		change func(*run)
		want   string
	}{
		"nothing":                                    {runningWell, func(*run) {}, ""},
		"nothing when the image was touched":         {runningWell, func(r *run) { r.inventories[0].Containers[0].Key = "v1-3" }, ""},
		"nothing when it lists":                      {listingWell, func(*run) {}, ""},
		"itself":                                     {runningWell, func(r *run) { r.set(v1alpha1.ConditionStalled, "True") }, "both true"},
		"its node":                                   {runningWell, func(r *run) { r.scan.Status.Nodes.Done = 0 }, "the node's containers"},
		"its node, which it does not count":          {runningWell, func(r *run) { r.scan.Status.Nodes = nil }, "the node's containers"},
		"its containers, by their number":            {runningWell, func(r *run) { r.scan.Status.Containers.Found = 2 }, "inventories list"},
		"its containers, by that of images":          {runningWell, func(r *run) { r.scan.Status.Containers.Images = 1 }, "inventories list"},
		"what runs: a container is missing":          {runningWell, func(r *run) { r.inventories[0].Containers = r.inventories[0].Containers[1:] }, "undisturbed"},
		"what runs: a rank is missing":               {runningWell, func(r *run) { r.inventories[0].Containers[0].PIDs = []int32{7} }, "undisturbed"},
		"what runs: an image was not read whole":     {runningWell, func(r *run) { r.inventories[0].Containers[0].Coverage = v1alpha1.CoveragePartial }, "undisturbed"},
		"itself: an image without its report":        {runningWell, func(r *run) { r.inventories[0].Containers[0].Report = "" }, "its report"},
		"itself: a report that is not there":         {runningWell, func(r *run) { delete(r.reports, "sr-b") }, "its report"},
		"itself: it was to list, and has a report":   {listingWell, func(r *run) { r.inventories[0].Containers[0].Report = "sr-a" }, "its report"},
		"itself: it was to list, and counts targets": {listingWell, func(r *run) { r.scan.Status.Targets = &v1alpha1.TargetCounts{} }, "to list"},
		"its counts":                                 {runningWell, func(r *run) { r.scan.Status.Targets.Scanned = 1 }, "inventories have"},
		"what its reports say":                       {runningWell, func(r *run) { r.reports["sr-b"].Report.Summary.Packages = 6 }, "packages"},
	} {
		t.Run(name, func(t *testing.T) {
			r := c.run()
			c.change(r)
			wantOne(t, OfLiveScan(r.scan, r.inventories, runningWell().inventories, r.reports), c.want)
		})
	}
}
