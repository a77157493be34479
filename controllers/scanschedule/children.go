// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scanschedule

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// children are the SIFScans of a ScanSchedule, oldest first, sorted once.
type children struct {
	// active ones are not finished. Those that wait, for a queue or a volume, count too.
	active []*v1alpha1.SIFScan
	// succeeded ones finished, whatever they found.
	succeeded []*v1alpha1.SIFScan
	// failed ones are stalled: only a change of their spec would help, and nobody changes it.
	failed []*v1alpha1.SIFScan
}

// children reads the SIFScans that the schedule made. Of them, only those it controls count:
// labels are anybody's to write.
func (r *Reconciler) children(ctx context.Context, s *v1alpha1.ScanSchedule) (children, error) {
	list := &v1alpha1.SIFScanList{}
	err := r.Client.List(ctx, list, client.InNamespace(s.Namespace), client.MatchingLabels{v1alpha1.LabelScheduleUID: string(s.UID)})
	if err != nil {
		return children{}, fmt.Errorf("list SIFScans: %w", err)
	}
	return classify(s, list.Items), nil
}

func classify(s *v1alpha1.ScanSchedule, scans []v1alpha1.SIFScan) (c children) {
	for i := range scans {
		scan := &scans[i]
		if !metav1.IsControlledBy(scan, s) {
			continue
		}
		switch {
		case !scan.DeletionTimestamp.IsZero():
			c.active = append(c.active, scan) // until it is gone, its Job may be at work
		case current(scan, v1alpha1.ConditionComplete):
			c.succeeded = append(c.succeeded, scan)
		case current(scan, v1alpha1.ConditionStalled):
			c.failed = append(c.failed, scan)
		default:
			c.active = append(c.active, scan)
		}
	}
	for _, list := range [][]*v1alpha1.SIFScan{c.active, c.succeeded, c.failed} {
		slices.SortFunc(list, func(a, b *v1alpha1.SIFScan) int {
			return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
		})
	}
	return c
}

// current tells whether a condition is true of the spec as it is.
func current(scan *v1alpha1.SIFScan, condition string) bool {
	c := meta.FindStatusCondition(scan.Status.Conditions, condition)
	return c != nil && c.Status == metav1.ConditionTrue && scan.Status.ObservedGeneration == scan.Generation
}

// lastSuccess is when a run last finished well; zero where none is there that did.
func (c children) lastSuccess() (last time.Time) {
	for _, scan := range c.succeeded {
		if at := scan.Status.CompletionTime; at != nil && at.After(last) {
			last = at.Time
		}
	}
	return last
}

// outdated are the finished SIFScans beyond the limits, oldest first.
func (c children) outdated(successful, failed int32) []*v1alpha1.SIFScan {
	beyond := func(list []*v1alpha1.SIFScan, limit int32) []*v1alpha1.SIFScan {
		return list[:max(0, len(list)-int(max(0, limit)))]
	}
	return slices.Concat(beyond(c.succeeded, successful), beyond(c.failed, failed))
}

// all are the children, whatever became of them.
func (c children) all() []*v1alpha1.SIFScan { return slices.Concat(c.active, c.succeeded, c.failed) }

// recall takes over what the children tell of starts whose record was lost: an operator may die
// after it made a SIFScan and before it wrote so.
func (p *pass) recall() {
	value := p.asked()
	for _, scan := range p.all() {
		if value != "" && scan.Name == askedName(p.schedule.Name, value) {
			p.set(conditionRunNow, metav1.ConditionTrue, reasonCreated, remembered(value))
		}
		nominal, err := time.Parse(time.RFC3339, scan.Annotations[v1alpha1.AnnotationScheduledAt])
		if err != nil || scan.Name != childName(p.schedule.Name, nominal) {
			continue // annotations are anybody's to write, a name is not
		}
		if last := p.schedule.Status.LastScheduleTime; last == nil || nominal.After(last.Time) {
			p.schedule.Status.LastScheduleTime = &metav1.Time{Time: nominal}
		}
	}
}
