// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/opener"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/process"
)

// Live is what is wanted of the containers that are alive on a node.
type Live struct {
	Opener opener.Opener
	// Node is its name.
	Node string
	// Containers that are wanted, of those that Opener listed.
	Containers []opener.Container
	// Left counts what runs besides what Opener listed, as opener.Listing.
	Left int
	// ListOnly tells them without reading their images.
	ListOnly bool
	// Reason and Nothing say why there is no container.
	Reason, Nothing string
}

// Group is what runs of one image for one user in one job: the ranks of a parallel program are one.
type Group struct {
	v1alpha1.InventoryContainer
	// Command of the first of them, as process.Container.
	Command string
	members []opener.Container
}

// groupKey tells groups apart. A container whose image nobody can identify is alone.
type groupKey struct {
	image      string
	user       int64
	instance   bool
	writable   bool
	slurm      process.Slurm
	pod        string
	unreadable bool
}

// Groups groups containers, the oldest group first.
func Groups(list []opener.Container, node string) []*Group {
	var groups []*Group
	at := map[groupKey]*Group{}
	for _, c := range list {
		job := c.Slurm
		job.Task = ""
		key := groupKey{cmp.Or(c.Image.Key(node), c.ID), c.User, c.Instance, c.Writable, job, c.PodUID, c.Problem != nil}
		g := at[key]
		if g == nil {
			g = &Group{InventoryContainer: inventoryOf(c, node), Command: c.Command}
			at[key] = g
			groups = append(groups, g)
		}
		g.add(c)
	}
	return groups
}

// inventoryOf is a container as the inventory tells it, without what is counted.
func inventoryOf(c opener.Container, node string) v1alpha1.InventoryContainer {
	out := v1alpha1.InventoryContainer{
		Key: c.Image.Key(node), Image: imageName(c.Image), User: c.User, Since: metav1.NewTime(c.Started),
		Mode: v1alpha1.ContainerExec, Writable: c.Writable,
	}
	if c.Instance {
		out.Mode = v1alpha1.ContainerInstance
	}
	if c.Slurm.Job != "" {
		out.Slurm = &v1alpha1.InventorySlurm{Job: c.Slurm.Job, Step: c.Slurm.Step, Task: c.Slurm.Task, Source: v1alpha1.SlurmSource(c.Slurm.Source)}
	}
	if c.PodUID != "" {
		out.Pod = &v1alpha1.InventoryPod{UID: c.PodUID}
	}
	if c.Problem != nil {
		out.Coverage = v1alpha1.CoverageUnreachable
		if c.Problem.Code == opener.Vanished {
			out.Coverage = v1alpha1.CoverageVanished
		}
	}
	return out
}

// imageName is the image's path for people.
func imageName(i opener.Image) string {
	if i.Claimed {
		return cmp.Or(i.Path, "?") + " (claimed)"
	}
	return i.Path
}

func (g *Group) add(c opener.Container) {
	g.members = append(g.members, c)
	g.Ranks++
	if len(g.PIDs) < v1alpha1.MaxInventoryPIDs {
		g.PIDs = append(g.PIDs, int32(c.Leader.PID))
	}
	if g.Ranks > 1 && g.Slurm != nil {
		g.Slurm.Task = "" // each has its own
	}
}

// layers tells whether its containers have writable layers over the image, but for that of one.
func (g *Group) layers(but string) bool {
	return g.Writable && slices.ContainsFunc(g.members, func(c opener.Container) bool { return c.ID != but })
}

// liveImage is an image and the containers that were started from it.
type liveImage struct {
	from  *Live
	image opener.Image
	name  string // in the inventory
	// named names the file for its report: one that nobody can identify, by its container.
	named  string
	groups []*Group
	// layer is the ID of the container whose root was read, and so its layer over the image, too.
	layer string
}

// maxName bounds the name of a live image in the inventory.
const maxName = 4 << 10

// findLive makes a target of each image.
func (f *found) findLive(l *Live) {
	f.groups = Groups(l.Containers, l.Node)
	f.live = map[string]*liveImage{}
	f.empty, f.reason, f.nothing = len(l.Containers) == 0, l.Reason, l.Nothing
	if l.ListOnly {
		return
	}
	at := map[string]*liveImage{}
	for _, g := range f.groups {
		first := g.members[0]
		key := cmp.Or(g.Key, first.ID)
		t := at[key]
		if t == nil {
			t = &liveImage{from: l, image: first.Image, name: printable.Truncate(g.Image, maxName), named: first.ID}
			if g.Key != "" {
				t.named = first.Image.Live(l.Node)
			}
			if f.live[t.name] != nil { // of another pod, or deleted: one path can be several images
				t.name += " [" + t.named[:min(len(t.named), 12)] + "]"
			}
			at[key], f.live[t.name] = t, t
			f.targets = append(f.targets, t)
		}
		t.groups = append(t.groups, g)
	}
}

func (t *liveImage) place() Place {
	return Place{Volume: handover.NoVolume, Path: t.name, Name: t.name, Live: t.named}
}

func (t *liveImage) about() v1alpha1.ReportTarget {
	i := t.image
	out := v1alpha1.ReportTarget{Kind: kindFile, Path: t.name, Node: t.from.Node, SizeBytes: i.Size, UID: int64(i.UID), GID: int64(i.GID)}
	if i.Known {
		out.ModTime = &metav1.Time{Time: time.Unix(0, i.ModTime).UTC()}
		out.Mode = fmt.Sprintf("%04o", i.Mode)
	}
	return out
}

// identity is that of the file. What a writable layer adds has none.
func (t *liveImage) identity(context.Context) string {
	if slices.ContainsFunc(t.groups, func(g *Group) bool { return g.Writable }) {
		return ""
	}
	return t.image.Identity()
}

// examples are places where the image runs.
func (t *liveImage) examples(now metav1.Time) (list []v1alpha1.RunningExample) {
	for _, g := range t.groups[:min(len(t.groups), v1alpha1.MaxRunningExamples)] {
		e := v1alpha1.RunningExample{Node: t.from.Node, User: g.User, ObservedAt: now}
		if g.Slurm != nil {
			e.SlurmJob = g.Slurm.Job
		}
		list = append(list, e)
	}
	return list
}

// ContainerSink is a Sink that is told what is alive.
type ContainerSink interface {
	// Container is told of each group before any image is read, and once more when its image has a report.
	Container(c *v1alpha1.InventoryContainer) error
}

// tell tells what is alive.
func (r *run) tell(groups []*Group) error {
	sink, ok := r.sink.(ContainerSink)
	if !ok {
		return nil // a person asks ps
	}
	for _, g := range groups {
		if err := sink.Container(&g.InventoryContainer); err != nil {
			return err
		}
	}
	return nil
}

// alive tells of the containers of an image what came of it; of what is no live image there is nothing to tell. A writable
// layer is read with its container's root alone.
func (r *run) alive(at Place, coverage string) error {
	image := r.live[at.Name]
	if image == nil {
		return nil
	}
	var groups []*Group
	for _, g := range image.groups {
		told := *g
		told.Report, told.Coverage = r.reportName(at), coverage
		if told.layers(image.layer) && coverage == v1alpha1.CoverageComplete {
			told.Coverage = v1alpha1.CoveragePartial
		}
		groups = append(groups, &told)
	}
	return r.tell(groups)
}

// covered is the coverage that goes with an outcome that stands without a result.
func covered(o v1alpha1.EntryOutcome) string {
	if o == v1alpha1.EntryScanned || o == v1alpha1.EntryUnchanged {
		return v1alpha1.CoverageComplete
	}
	return ""
}
