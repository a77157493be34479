// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// maxWorkers is what the API allows.
const maxWorkers = 64

// askedWorkers is how many workers a spec asks for.
func askedWorkers(spec *v1alpha1.SIFScanSpec) int32 {
	return min(max(ptr.Deref(spec.Parallelism, 1), 1), maxWorkers)
}

// workers of the run. Their shares depend on how many they are, so the number is decided once: by
// the run's first Job, and after that, as when a suspended run goes on, by what its workers left. A cache may
// tell: the first of it is written when the first Job begins, long before there can be another.
func (r *Reconciler) workers(ctx context.Context, p *pass) (int32, error) {
	if p.current != nil {
		return max(ptr.Deref(p.current.Spec.Completions, 1), 1), nil
	}
	left, err := r.inventoriesSeen(ctx, p)
	switch {
	case err != nil:
		return 0, err
	case len(left) == 0:
		return askedWorkers(&p.scan.Spec), nil
	}
	n, err := strconv.ParseInt(left[0].Labels[v1alpha1.LabelWorkers], 10, 32)
	if err != nil || n < 1 || n > maxWorkers {
		return 1, nil // of a reporter that was never told their number
	}
	return int32(n), nil
}

// inventoriesSeen are what the cache shows of the run's ScanInventories, the parts of the list among them.
func (r *Reconciler) inventoriesSeen(ctx context.Context, p *pass) ([]metav1.PartialObjectMetadata, error) {
	list := inventoryMetadataList()
	if err := r.Client.List(ctx, list, ofScan(p.scan.Namespace, p.scan.UID)...); err != nil {
		return nil, fmt.Errorf("list ScanInventories: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(i metav1.PartialObjectMetadata) bool { return i.Labels[v1alpha1.LabelRun] != p.run }), nil
}

// crew is what the pods of a run are doing, each worker's latest.
type crew struct {
	// working pods were started and have not ended.
	working int
	// died names the workers whose latest pod died, held those whose latest pod is kept from working.
	died []workerDeath
	held []workerHoldup
	// deaths are the last of each worker, also of those that have a new pod.
	deaths []workerDeath
	// look is when a pod that is being set up will be held up; 0: none will.
	look time.Duration
}

type workerDeath struct {
	worker int32
	pod    *corev1.Pod
	cause
}

type workerHoldup struct {
	worker int32
	holdup
}

// crewOf sorts pods by worker.
func crewOf(pods []*corev1.Pod, now time.Time) (c crew) {
	each := map[int32][]*corev1.Pod{}
	for _, pod := range pods {
		each[workerOf(pod)] = append(each[workerOf(pod)], pod)
	}
	for _, worker := range slices.Sorted(maps.Keys(each)) {
		last, lastDead := latest(each[worker]), latest(dead(each[worker]))
		if why, ok := deathOf(lastDead); ok {
			c.deaths = append(c.deaths, workerDeath{worker, lastDead, why})
		}
		if last == lastDead {
			c.died = append(c.died, c.deaths[len(c.deaths)-1])
		} else if held, ok := holdupOf(last, now); ok {
			c.held = append(c.held, workerHoldup{worker, held})
		} else if !ended(last) {
			c.working++
			if since, is := beingSetUp(last); is {
				c.look = sooner(c.look, since.Add(setUpPatience).Sub(now))
			}
		}
	}
	return c
}

// notes tells, while others work, of the workers that do not.
func (c crew) notes() string {
	var b strings.Builder
	for _, d := range c.died {
		fmt.Fprintf(&b, "; worker %d: %s: %s; a new pod goes on", d.worker, d.reason, d.message)
	}
	for _, h := range c.held {
		fmt.Fprintf(&b, "; worker %d: %s: %s", h.worker, h.reason, h.message)
	}
	return printable(b.String(), maxNotes)
}

// maxNotes bounds what a condition tells of single workers, of which there may be 64.
const maxNotes = 2048

// failedWorkers are those whose pods died too often for another, as the Job controller counts.
func failedWorkers(job *batchv1.Job) []int32 {
	return parseIndexes(ptr.Deref(job.Status.FailedIndexes, ""))
}

// parseIndexes reads the Job controller's "1,3-5,7". What is no such list is no index.
func parseIndexes(text string) (indexes []int32) {
	for _, part := range strings.Split(text, ",") {
		from, to, ranged := strings.Cut(part, "-")
		if !ranged {
			to = from
		}
		first, err := strconv.ParseInt(from, 10, 32)
		last, err2 := strconv.ParseInt(to, 10, 32)
		if err != nil || err2 != nil || first < 0 || last >= maxWorkers {
			continue
		}
		for i := first; i <= last; i++ {
			indexes = append(indexes, int32(i))
		}
	}
	return indexes
}

// listLost reports whether the worker is gone for good that should have made the list of a run.
// The others would wait for it.
func listLost(job *batchv1.Job, t *tally) bool {
	return job != nil && t.workers > 1 && t.planned == nil && slices.Contains(failedWorkers(job), 0)
}

// podsOf are the pods of some workers; all where none is named.
func podsOf(pods []*corev1.Pod, workers []int32) []*corev1.Pod {
	if len(workers) == 0 {
		return pods
	}
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool { return !slices.Contains(workers, workerOf(pod)) })
}

// well returns the pods that ended well.
func well(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool { return pod.Status.Phase != corev1.PodSucceeded })
}

// abandon ends a run that will never have a list. Its Job goes once this is written (see expire).
func (p *pass) abandon(t *tally) {
	why, known := deathOf(latest(dead(podsOf(p.pods, []int32{0}))))
	if !known {
		why = cause{v1alpha1.ReasonReportUnavailable, "no pod is left to say why"}
	}
	cover(p.scan, t, p.now)
	stalled(why.reason, fmt.Sprintf("worker 0, which lists the images for all %d workers, gave up: %s; %s", t.workers, why.message, again)).apply(p.scan, p.now)
	p.scan.Status.CompletionTime = ptr.To(metav1.NewTime(p.now))
}

// planned begins the tally of a run with what is known of its list.
func (r *Reconciler) planned(ctx context.Context, p *pass) (t *tally, err error) {
	t = newTally()
	if t.workers, err = r.workers(ctx, p); err != nil || t.workers == 1 {
		return t, err
	}
	list := inventoryMetadataList()
	err = r.Live.List(ctx, list, client.InNamespace(p.scan.Namespace), client.HasLabels{v1alpha1.LabelPlan},
		client.MatchingLabels{v1alpha1.LabelScanUID: string(p.scan.UID), v1alpha1.LabelRun: p.run})
	if err != nil {
		return nil, fmt.Errorf("list the ScanInventories with the list of run %s: %w", p.run, err)
	}
	for i := range list.Items {
		t.frozen(JobName(p.scan.Name, p.run), &list.Items[i])
	}
	return t, nil
}

// frozen takes over how many targets the list of a run has, from the object that decides it.
func (t *tally) frozen(job string, object *metav1.PartialObjectMetadata) {
	targets, _, _ := strings.Cut(object.Annotations[v1alpha1.AnnotationPlanned], "/")
	n, err := strconv.ParseInt(targets, 10, 32)
	if object.Name != job+"-plan" || err != nil || n < 0 {
		return
	}
	t.planned = &n
	t.targets.Discovered = int32(n)
}
