// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"encoding/json"
	"regexp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// occurrence tells containers apart that an inventory lists: a later event about the same image,
// user, job and pod replaces the earlier one.
type occurrence struct {
	key, image string
	user       int64
	mode       v1alpha1.ContainerMode
	writable   bool
	slurm      v1alpha1.InventorySlurm
	pod        string
}

// container takes over what the scanner says is alive on the node.
func (in *inventory) container(said *v1alpha1.InventoryContainer) {
	if said == nil {
		return
	}
	in.addContainer(boundContainer(said))
}

func (in *inventory) addContainer(c *v1alpha1.InventoryContainer) {
	o := occurrenceOf(c)
	if at, ok := in.index[o]; ok {
		if before := in.items[at].container; c.Pod != nil && before.Pod != nil && c.Pod.Name == "" {
			c.Pod = before.Pod // named by the controller meanwhile
		}
	}
	body, err := json.Marshal(c)
	if err != nil {
		return
	}
	in.add(o, item{container: c}, len(body))
}

func occurrenceOf(c *v1alpha1.InventoryContainer) occurrence {
	o := occurrence{key: c.Key, image: c.Image, user: c.User, mode: c.Mode, writable: c.Writable}
	if c.Slurm != nil {
		o.slurm = *c.Slurm
		o.slurm.Task = "" // not of the group
	}
	if c.Pod != nil {
		o.pod = c.Pod.UID
	}
	return o
}

var (
	imageKey   = regexp.MustCompile(`^v1-[0-9a-f]{64}$`)
	reportName = regexp.MustCompile(`^sr-[a-z2-7]{1,60}$`)
	podUID     = regexp.MustCompile(`^[0-9a-f-]{1,64}$`)
)

// maxSlurmWord bounds the parts of a job's name. Slurm's own are numbers and a few words.
const maxSlurmWord = 64

// boundContainer keeps what the API takes: one value that it refuses would cost the whole
// inventory. The pod's name is the controller's to tell, which asks the API server for it.
func boundContainer(said *v1alpha1.InventoryContainer) *v1alpha1.InventoryContainer {
	c := said.DeepCopy()
	matching(&c.Key, imageKey)
	matching(&c.Report, reportName)
	c.Image = bounded(c.Image, maxEntryPath)
	c.PIDs = c.PIDs[:min(len(c.PIDs), v1alpha1.MaxInventoryPIDs)]
	if c.Since.IsZero() { // which is written as null
		c.Since = metav1.Unix(0, 0)
	}
	if c.Mode != v1alpha1.ContainerInstance {
		c.Mode = v1alpha1.ContainerExec
	}
	if !slices.Contains(coverages, c.Coverage) {
		c.Coverage = v1alpha1.CoveragePartial
	}
	if s := c.Slurm; s != nil {
		s.Job, s.Step, s.Task = bounded(s.Job, maxSlurmWord), bounded(s.Step, maxSlurmWord), bounded(s.Task, maxSlurmWord)
		if s.Source != v1alpha1.SlurmFromCgroup {
			s.Source = v1alpha1.SlurmFromEnvironment
		}
	}
	if c.Pod != nil {
		c.Pod = &v1alpha1.InventoryPod{UID: c.Pod.UID}
		if !podUID.MatchString(c.Pod.UID) {
			c.Pod = nil
		}
	}
	return c
}

var coverages = []string{
	"", v1alpha1.CoverageComplete, v1alpha1.CoveragePartial, v1alpha1.CoverageUnreachable, v1alpha1.CoverageVanished,
}

func matching(s *string, pattern *regexp.Regexp) {
	if !pattern.MatchString(*s) {
		*s = ""
	}
}

func bounded(s string, limit int) string {
	if !printable.Safe(s) {
		s = printable.Escape(s)
	}
	return printable.Truncate(s, limit)
}

// place says on which node the image of a live container was read: this pod's, whatever the
// scanner says.
func (r *Reporter) place(e handover.Event, body *v1alpha1.Report) {
	if e.Live == "" {
		body.Target.Node, body.RunningExamples = "", nil
		return
	}
	body.Target.Node = r.opts.Node
	for i := range body.RunningExamples {
		body.RunningExamples[i].Node = r.opts.Node
	}
}
