// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// OfLiveScan says in what a SIFScan of what runs on one node contradicts itself when its run is over, or its
// ScanInventories, the reports that these name, or what undisturbed inventories list.
func OfLiveScan(s *v1alpha1.SIFScan, inventories, undisturbed []v1alpha1.ScanInventory, reports map[string]*v1alpha1.ScanReport) []string {
	var c contradictions
	c.conditions(s)
	if !is(s, v1alpha1.ConditionComplete) {
		return c
	}
	entries := c.inventories(s, inventories)
	if n := s.Status.Nodes; n == nil || *n != (v1alpha1.NodeCounts{Selected: 1, Done: 1}) {
		c.unless(false, "it counts %+v, and the node's containers are listed", n)
	}
	c.containers(s, inventories, undisturbed, reports)
	if s.Spec.Target.Running.ListOnly {
		c.unless(len(entries) == 0 && s.Status.Targets == nil, "it was to list, and scanned %+v", entries)
		return c
	}
	c.counts(s, entries)
	c.summary(s, entries, reports)
	return c
}

// containers that a run lists, against those of an undisturbed one, the status, and the reports of their images.
func (c *contradictions) containers(s *v1alpha1.SIFScan, inventories, undisturbed []v1alpha1.ScanInventory, reports map[string]*v1alpha1.ScanReport) {
	read := !s.Spec.Target.Running.ListOnly
	if diff := cmp.Diff(listed(undisturbed, read), listed(inventories, read)); diff != "" {
		c.unless(false, "its containers (- undisturbed, + these): %s", diff)
	}
	var want v1alpha1.ContainerCounts
	images := map[string]bool{}
	for i := range inventories {
		for _, container := range inventories[i].Containers {
			want.Found += container.Ranks
			images[container.Key] = true
			c.unless(read == (reports[container.Report] != nil), "%s: its report is %q", container.Image, container.Report)
		}
	}
	want.Images = int32(len(images))
	c.unless(s.Status.Containers != nil && *s.Status.Containers == want, "it counts %+v, its inventories list %+v", s.Status.Containers, want)
}

// listed are the containers of inventories without what differs from run to run: the key of an image tells when it
// changed, and its report in which namespace that is.
func listed(inventories []v1alpha1.ScanInventory, read bool) (all []v1alpha1.InventoryContainer) {
	for i := range inventories {
		for _, container := range inventories[i].Containers {
			own := *container.DeepCopy()
			own.Key, own.Report = "", ""
			own.Since = metav1.NewTime(own.Since.UTC())
			if !read {
				own.Coverage = ""
			}
			slices.Sort(own.PIDs)
			all = append(all, own)
		}
	}
	slices.SortFunc(all, func(a, b v1alpha1.InventoryContainer) int { return strings.Compare(a.Image, b.Image) })
	return all
}
