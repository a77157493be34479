// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// sweepInterval is how often what node scans left is looked for without an event. An event can get
// lost while no operator runs; that is what the look at the start is for.
const sweepInterval = 10 * time.Minute

// sweeper removes what runs on nodes left in the namespace of node scans, where owner references of
// a SIFScan do not reach: Jobs and accounts of SIFScans that are gone, or ask for another run, and accounts of runs that are over.
// In every namespace it gives up our pods on nodes that are gone.
type sweeper struct{ *Reconciler }

// setupSweeper registers the sweeper. Its requests name a SIFScan by namespace and UID: a deleted one
// is known by nothing else.
func (r *Reconciler) setupSweeper(mgr ctrl.Manager) error {
	s := sweeper{r}
	itself := func(_ context.Context, o client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: string(o.GetUID())}}}
	}
	byLabel := func(_ context.Context, o client.Object) []reconcile.Request {
		if o.GetNamespace() != r.Config.NodeScans.Namespace {
			return nil
		}
		return []reconcile.Request{{NamespacedName: scanLabels(o)}}
	}
	changed := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	return ctrl.NewControllerManagedBy(mgr).Named("node-scan-sweeper").
		Watches(&v1alpha1.SIFScan{}, handler.EnqueueRequestsFromMapFunc(itself), builder.WithPredicates(changed)).
		Watches(&batchv1.Job{}, handler.EnqueueRequestsFromMapFunc(byLabel), builder.WithPredicates(onlyCreated())).
		Complete(reconcile.Func(s.sweepOne))
}

// onlyCreated lets through a Job that a look at a SIFScan made while that was deleted.
func onlyCreated() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(event.UpdateEvent) bool { return false },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}

// scanLabels are the namespace and the UID of the SIFScan that an object of a node scan is of.
func scanLabels(o client.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetLabels()[v1alpha1.LabelScanNamespace], Name: o.GetLabels()[v1alpha1.LabelScanUID]}
}

// scanOfNodeJob finds the SIFScan that a Job in the namespace of node scans is of.
func (r *Reconciler) scanOfNodeJob(ctx context.Context, o client.Object) []reconcile.Request {
	if r.Config.NodeScans == nil || o.GetNamespace() != r.Config.NodeScans.Namespace {
		return nil
	}
	return r.scanWith(ctx, scanLabels(o))
}

// run sweeps at the start, and from time to time.
func (s sweeper) run(ctx context.Context) error {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		err := s.releaseLost(ctx)
		if s.Config.NodeScans != nil {
			err = errors.Join(s.sweep(ctx, types.NamespacedName{}), err)
		}
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "what scans left is looked for again later")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s sweeper) sweepOne(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	return reconcile.Result{}, s.sweep(ctx, req.NamespacedName)
}

// sweep removes what nobody wants any more: of one SIFScan, or of all.
func (s sweeper) sweep(ctx context.Context, only types.NamespacedName) error {
	ours := []client.ListOption{client.InNamespace(s.Config.NodeScans.Namespace), client.HasLabels{v1alpha1.LabelScanUID}}
	if only.Name != "" {
		ours[1] = client.MatchingLabels{v1alpha1.LabelScanUID: only.Name}
	}
	jobs, accounts := &batchv1.JobList{}, &metav1.PartialObjectMetadataList{}
	if err := s.Client.List(ctx, jobs, ours...); err != nil {
		return fmt.Errorf("list Jobs of nodes: %w", err)
	}
	accounts.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccountList"))
	if err := s.Live.List(ctx, accounts, ours...); err != nil {
		return fmt.Errorf("list ServiceAccounts of node scans: %w", err)
	}
	runs, failed := askedRuns{}, troubles{}
	unless := func(least standing, o client.Object, remove func() error) {
		stands, err := s.standingOf(ctx, runs, o)
		if err == nil && stands < least {
			err = remove()
		}
		failed.add(err)
	}
	for i := range jobs.Items {
		job := &jobs.Items[i]
		unless(runOver, job, func() error { return s.deleteJob(ctx, job) })
	}
	for i := range accounts.Items {
		account := &accounts.Items[i]
		unless(runUnderWay, account, func() error { return s.revoke(ctx, scanLabels(account).Namespace, account.Name) })
	}
	return failed.join()
}

// maxTroubles is how many of many errors are told.
const maxTroubles = 10

// troubles are what kept single objects from being handled, which keeps no other from it.
type troubles struct {
	first []error
	more  int
}

func (t *troubles) add(err error) {
	switch {
	case err == nil:
	case len(t.first) < maxTroubles:
		t.first = append(t.first, err)
	default:
		t.more++
	}
}

// join is nil where nothing went wrong.
func (t *troubles) join() error {
	if t.more == 0 {
		return errors.Join(t.first...)
	}
	return errors.Join(append(slices.Clone(t.first), fmt.Errorf("and %d more", t.more))...)
}

// standing is how a run stands to what its SIFScan asks for.
type standing int

const (
	runUnasked standing = iota // or there is no such SIFScan
	runOver                    // its Jobs stay for spec.ttlAfterFinished, its account does not
	runUnderWay
)

// askedRuns are what SIFScans ask for.
type askedRuns map[types.NamespacedName]struct {
	run string
	standing
}

// standingOf says how the run of an object stands.
func (s sweeper) standingOf(ctx context.Context, runs askedRuns, o client.Object) (standing, error) {
	key := scanLabels(o)
	asked, known := runs[key]
	if !known {
		scan, err := s.byUID(ctx, key)
		if err != nil {
			return runUnasked, err
		}
		if scan != nil && scan.DeletionTimestamp.IsZero() && scan.Spec.Target.Running != nil {
			p := pass{scan: scan, run: RunID(scan)}
			asked.run, asked.standing = p.run, runUnderWay
			if p.finished() {
				asked.standing = runOver
			}
		}
		runs[key] = asked
	}
	if asked.run != o.GetLabels()[v1alpha1.LabelRun] {
		return runUnasked, nil
	}
	return asked.standing, nil
}

// byUID returns a SIFScan, nil where there is none. What the cache does not have is asked of the API
// server: deleting the work of a SIFScan that exists would start it again.
func (s sweeper) byUID(ctx context.Context, key types.NamespacedName) (*v1alpha1.SIFScan, error) {
	cached := &v1alpha1.SIFScanList{}
	err := s.Client.List(ctx, cached, client.InNamespace(key.Namespace), client.MatchingFields{indexUID: bucketOf(key.Name)})
	if err != nil {
		return nil, fmt.Errorf("find SIFScan %s: %w", key, err)
	}
	if scan := withUID(cached, key.Name); scan != nil {
		return scan, nil
	}
	live := &v1alpha1.SIFScanList{}
	if err := s.Live.List(ctx, live, client.InNamespace(key.Namespace)); err != nil {
		return nil, fmt.Errorf("list SIFScans: %w", err)
	}
	return withUID(live, key.Name), nil
}

// withUID is the SIFScan of the list that has the UID, nil where there is none.
func withUID(list *v1alpha1.SIFScanList, uid string) *v1alpha1.SIFScan {
	i := slices.IndexFunc(list.Items, func(scan v1alpha1.SIFScan) bool { return string(scan.UID) == uid })
	if i < 0 {
		return nil
	}
	return &list.Items[i]
}
