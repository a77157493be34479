// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// annotationImageKeys on a Job of node scans are the keys of the images that it reads, separated by
// commas; absent where it lists containers.
const annotationImageKeys = "sifscan.io/image-keys"

// survey is what is known of a run's nodes.
type survey struct {
	nodes []*nodeState
}

// nodeState is a node of a run.
type nodeState struct {
	plannedNode
	worker int32
	// listing is the Job that lists the containers; nil before it was made, and where none is.
	listing *nodeTask
	// reading are the Jobs that read images, in no order.
	reading []*nodeTask
	// outcome of the listing; its reason is empty until there is one.
	outcome cause
	// kept is what kept the node from reading images; its reason is empty while nothing has.
	kept cause
}

// nodeTask is a Job and its last pod.
type nodeTask struct {
	job *batchv1.Job
	pod *corev1.Pod
}

// over reports whether the Job ended, and whether it failed.
func (t *nodeTask) over() (failed, over bool) {
	end, over := endOf(t.job)
	return end.failed, over
}

// verdict is what a Job that ended came to; Succeeded where the scanner had no objection.
func (t *nodeTask) verdict() cause {
	end, _ := endOf(t.job)
	if !end.failed {
		if v := verdictOf(t.pod); v.reason != "" {
			return cause(v)
		}
		return cause{reason: v1alpha1.ReasonSucceeded}
	}
	why, known := deathOf(t.pod)
	switch {
	case known && why.reason == v1alpha1.ReasonOOMKilled:
		if len(t.keys()) == 0 {
			why.message = listOutOfMemory(t.pod)
		}
		why.message = fmt.Sprintf("on node %s, %s", t.job.Annotations[v1alpha1.AnnotationNode], why.message)
	case known && why.reason == v1alpha1.ReasonDeadlineExceeded:
		why.message = t.tookTooLong()
	case !known && end.reason == batchv1.JobReasonDeadlineExceeded:
		why = cause{v1alpha1.ReasonDeadlineExceeded, fmt.Sprintf("Job %s took longer than it may", t.job.Name)}
	case !known:
		why = cause{v1alpha1.ReasonReportUnavailable, fmt.Sprintf("Job %s failed (%s: %s) and no pod is left to say why",
			t.job.Name, printable(end.reason, maxWord), printable(end.message, maxDetail))}
	}
	return why
}

// tookTooLong says what kept a pod beyond the deadline of its kind.
func (t *nodeTask) tookTooLong() string {
	node := t.job.Annotations[v1alpha1.AnnotationNode]
	if n := len(t.keys()); n > 0 {
		return fmt.Sprintf("on node %s, %s took longer to read than %s and spec.scanner.timeout each: raise that", node, counted(n, "image", "images"), listDeadline)
	}
	return fmt.Sprintf("on node %s, the list of its containers took longer than %s: look there for processes or file systems that hang", node, listDeadline)
}

// unheard reports whether the cache may still bring the last words of a Job's pod: it shows Jobs and
// pods each at its own pace.
func (t *nodeTask) unheard(now time.Time) bool {
	end, over := endOf(t.job)
	return over && (t.pod == nil || !ended(t.pod)) && now.Sub(end.at.Time) < cacheLag
}

// keys of the images that a Job reads.
func (t *nodeTask) keys() []string {
	return strings.FieldsFunc(t.job.Annotations[annotationImageKeys], func(r rune) bool { return r == ',' })
}

// busy reports whether a Job of the run is at work on the node. One at a time: all write one inventory.
func (n *nodeState) busy() bool {
	tasks := n.reading
	if n.listing != nil {
		tasks = append(slices.Clone(tasks), n.listing)
	}
	return slices.ContainsFunc(tasks, func(t *nodeTask) bool { _, over := t.over(); return !over })
}

// survey reads what the caches hold of a run's Jobs, pods and inventories.
func (r *Reconciler) survey(ctx context.Context, p *pass, plan []plannedNode) (*survey, error) {
	jobs, pods := &batchv1.JobList{}, &corev1.PodList{}
	of := client.MatchingLabels{v1alpha1.LabelScanUID: string(p.scan.UID), v1alpha1.LabelRun: p.run}
	for _, list := range []client.ObjectList{jobs, pods} {
		if err := r.Client.List(ctx, list, client.InNamespace(r.Config.NodeScans.Namespace), of); err != nil {
			return nil, fmt.Errorf("list Jobs and pods of nodes: %w", err)
		}
	}
	inventories := inventoryMetadataList()
	if err := r.Client.List(ctx, inventories, client.InNamespace(p.scan.Namespace), of); err != nil {
		return nil, fmt.Errorf("list ScanInventories: %w", err)
	}
	return surveyOf(JobName(p.scan.Name, p.run), plan, jobs.Items, pods.Items, inventories.Items), nil
}

// surveyOf sorts Jobs, pods and inventories of a run by node. What is not of a node of the plan is nobody's.
func surveyOf(base string, plan []plannedNode, jobs []batchv1.Job, pods []corev1.Pod, inventories []metav1.PartialObjectMetadata) *survey {
	s := &survey{nodes: make([]*nodeState, len(plan))}
	for i := range plan {
		s.nodes[i] = &nodeState{plannedNode: plan[i], worker: int32(i)}
	}
	last := map[string]*corev1.Pod{}
	for i := range pods {
		if owner := metav1.GetControllerOf(&pods[i]); owner != nil {
			last[owner.Name] = latest(slices.DeleteFunc([]*corev1.Pod{last[owner.Name], &pods[i]}, func(p *corev1.Pod) bool { return p == nil }))
		}
	}
	for i := range jobs {
		node := s.worker(jobs[i].Labels[v1alpha1.LabelWorker])
		if node == nil || node.Name != jobs[i].Annotations[v1alpha1.AnnotationNode] || !jobs[i].DeletionTimestamp.IsZero() {
			continue
		}
		task := &nodeTask{job: &jobs[i], pod: last[jobs[i].Name]}
		if len(task.keys()) > 0 {
			node.reading = append(node.reading, task)
		} else {
			node.listing = task
		}
	}
	for i := range inventories {
		worker, chunk, ok := parseInventoryName(base, inventories[i].Name)
		if ok && chunk == 0 && int(worker) < len(s.nodes) {
			s.nodes[worker].outcome = parseCause(inventories[i].Annotations[v1alpha1.AnnotationNodeOutcome])
			s.nodes[worker].kept = parseCause(inventories[i].Annotations[v1alpha1.AnnotationNodeReading])
		}
	}
	return s
}

func (s *survey) worker(label string) *nodeState {
	i, err := strconv.Atoi(label)
	if err != nil || i < 0 || i >= len(s.nodes) {
		return nil
	}
	return s.nodes[i]
}

// nodeOutcomes are the reasons that a node's annotation may have. It stands in the SIFScan's namespace,
// where others may write, too: anything else is as if nothing were written.
var nodeOutcomes = append(slices.Clone(runReasons),
	v1alpha1.ReasonSucceeded, v1alpha1.ReasonNodeGone, v1alpha1.ReasonNodeCordoned, v1alpha1.ReasonUnschedulable,
	v1alpha1.ReasonOOMKilled, v1alpha1.ReasonEvicted, v1alpha1.ReasonDeadlineExceeded, v1alpha1.ReasonEngineFailed,
	v1alpha1.ReasonImagePullFailed, v1alpha1.ReasonVolumeNotFound)

// parseCause reads "reason: message".
func parseCause(text string) cause {
	reason, message, _ := strings.Cut(text, ": ")
	if !slices.Contains(nodeOutcomes, reason) {
		return cause{}
	}
	return cause{reason, printable(message, maxDetail)}
}

func (c cause) String() string {
	if c.message == "" {
		return c.reason
	}
	return c.reason + ": " + printable(c.message, maxDetail)
}

// Groups of nodes by what came of them.
var (
	// listedReasons: what is alive on the node is known.
	listedReasons = []string{v1alpha1.ReasonSucceeded, v1alpha1.ReasonNoContainers, v1alpha1.ReasonNoTargets}
	// skippedReasons: the node was not to be had.
	skippedReasons = []string{v1alpha1.ReasonNodeGone, v1alpha1.ReasonNodeCordoned, v1alpha1.ReasonUnschedulable}
)

// counts are the nodes as the status has them.
func (s *survey) counts() *v1alpha1.NodeCounts {
	c := &v1alpha1.NodeCounts{Selected: int32(len(s.nodes))}
	for _, n := range s.nodes {
		switch {
		case n.outcome.reason == "":
		case slices.Contains(listedReasons, n.outcome.reason):
			c.Done++
		case slices.Contains(skippedReasons, n.outcome.reason):
			c.Skipped++
		default:
			c.Failed++
		}
	}
	return c
}

// listed reports whether every node has an outcome.
func (s *survey) listed() bool {
	return !slices.ContainsFunc(s.nodes, func(n *nodeState) bool { return n.outcome.reason == "" })
}

// stuck says why a Job that is not over will not end well on its node, and how long it may still take to
// be so; false while nothing is against it.
func stuck(n *nodeState, t *nodeTask, node *corev1.Node, patience time.Duration, now time.Time) (cause, bool) {
	if why, _ := absence(n.Name, node, now); why.reason != "" {
		return why, true
	}
	since, why := t.job.CreationTimestamp.Time, cause{v1alpha1.ReasonUnschedulable, fmt.Sprintf(
		"no pod came of Job %s: see kubectl -n %s describe job %[1]s", t.job.Name, t.job.Namespace)}
	if t.pod != nil {
		if t.pod.Spec.NodeName == "" { // nothing runs that would have to end first
			if why := drained(node, cause{}); why.reason != "" {
				return why, true
			}
		}
		held, ok := holdupOf(t.pod, now)
		if !ok {
			return cause{}, false
		}
		since, why = held.since, held.cause
	}
	return why, now.Sub(since) >= patience
}
