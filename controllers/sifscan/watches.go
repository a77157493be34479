// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"maps"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// inventoryInterval is the least time between two looks at a run because its inventories moved: each
// of up to 64 workers writes every ten seconds. A look adds all of them up, and writes the status.
const inventoryInterval = 10 * time.Second

// concurrentReconciles: a look waits for the API server most of the time, and one at a large
// run must not hold up the others.
const concurrentReconciles = 4

// Caches says what the manager's caches hold: of what others own, only metadata, and of that only
// what is looked at. Nothing in them grows with images or findings.
func Caches() cache.Options {
	ours := labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&batchv1.Job{}:                  {Label: ours, Transform: compact},
			&corev1.Pod{}:                   {Label: ours, Transform: compact},
			&corev1.Node{}:                  {Transform: keepReadiness},
			&v1alpha1.SIFScan{}:             {Transform: compact},
			&v1alpha1.ScanInventory{}:       {Label: ours, Transform: compact},
			&corev1.PersistentVolumeClaim{}: {Transform: keepIdentity},
			&corev1.Namespace{}:             {Transform: keepOurAnnotations},
		},
	}
}

func keepOurAnnotations(obj any) (any, error) {
	if m, ok := obj.(*metav1.PartialObjectMetadata); ok {
		m.Labels, m.ManagedFields, m.OwnerReferences = nil, nil, nil
		maps.DeleteFunc(m.Annotations, func(key, _ string) bool { return !slices.Contains(identityAnnotations, key) })
	}
	return obj, nil
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	r.prepare()
	inventory := &metav1.PartialObjectMetadata{}
	inventory.SetGroupVersionKind(inventoryKind)
	for _, index := range []struct {
		of    client.Object
		field string
		value client.IndexerFunc
	}{
		{&v1alpha1.SIFScan{}, indexUID, byUID},
		{&v1alpha1.SIFScan{}, indexClaim, byClaim},
		{&batchv1.Job{}, indexUID, byScanUID},
		{&corev1.Pod{}, indexUID, byScanUID},
		{&corev1.Pod{}, indexNode, byNode},
		{inventory, indexUID, byScanUID},
		{inventory, indexName, byScanName},
	} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, index.of, index.field, index.value); err != nil {
			return err
		}
	}
	if r.Config.NodeScans != nil {
		if err := r.setupSweeper(mgr); err != nil {
			return err
		}
	}
	if err := mgr.Add(manager.RunnableFunc(sweeper{r}.run)); err != nil {
		return err
	}
	changed := predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, completionChanged())
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.SIFScan{}, builder.WithPredicates(changed)).
		Watches(&batchv1.Job{}, handler.EnqueueRequestsFromMapFunc(scanOfJob)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.scanOf)).
		Watches(&batchv1.Job{}, later(nodeJobInterval, r.scanOfNodeJob)).
		WatchesMetadata(&v1alpha1.ScanInventory{}, later(inventoryInterval, r.scanOf)).
		WatchesMetadata(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(r.scansOfClaim)).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.scansOfNamespace),
			builder.WithPredicates(predicate.AnnotationChangedPredicate{})).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(r.scansOnNode), builder.WithPredicates(readinessChanged())).
		WatchesRawSource(source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			r.slots.wakeWith(func(scan types.NamespacedName) { queue.Add(reconcile.Request{NamespacedName: scan}) })
			return nil
		})).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrentReconciles}).
		Complete(r)
}

// completionChanged lets through the one write of our own that has a sequel. The others, one for
// every step of progress, would only bring back what was just seen.
func completionChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.SIFScan)
		after, ok2 := e.ObjectNew.(*v1alpha1.SIFScan)
		return ok && ok2 && !before.Status.CompletionTime.Equal(after.Status.CompletionTime)
	}}
}

// scanOf finds the SIFScan, not settled yet, whose UID an object carries. Names would do only up to 63 characters.
func (r *Reconciler) scanOf(ctx context.Context, o client.Object) []reconcile.Request {
	return r.scanWith(ctx, types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetLabels()[v1alpha1.LabelScanUID]})
}

// scanWith finds the SIFScan that has work, by its namespace and UID.
func (r *Reconciler) scanWith(ctx context.Context, key types.NamespacedName) []reconcile.Request {
	if key.Name == "" {
		return nil
	}
	return r.requests(ctx, func(scan *v1alpha1.SIFScan) bool { return string(scan.UID) == key.Name },
		client.InNamespace(key.Namespace), client.MatchingFields{indexUID: bucketOf(key.Name)})
}

func (r *Reconciler) scansOfClaim(ctx context.Context, o client.Object) []reconcile.Request {
	return r.requests(ctx, func(scan *v1alpha1.SIFScan) bool { return slices.Contains(claimsOf(scan), o.GetName()) },
		client.InNamespace(o.GetNamespace()), client.MatchingFields{indexClaim: bucketOf(o.GetName())})
}

func (r *Reconciler) scansOfNamespace(ctx context.Context, o client.Object) []reconcile.Request {
	return r.requests(ctx, func(*v1alpha1.SIFScan) bool { return true }, client.InNamespace(o.GetName()))
}

// requests are to look at those of the listed SIFScans that are meant.
func (r *Reconciler) requests(ctx context.Context, meant func(*v1alpha1.SIFScan) bool, of ...client.ListOption) (requests []reconcile.Request) {
	scans := &v1alpha1.SIFScanList{}
	if err := r.Client.List(ctx, scans, append(of, client.UnsafeDisableDeepCopy)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "find the SIFScans that an event is about")
		return nil
	}
	for i := range scans.Items {
		if scan := &scans.Items[i]; meant(scan) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(scan)})
		}
	}
	return requests
}

// scanOfJob is the SIFScan that controls a Job. The handler that Owns registers asks the REST mapper at every event, which was
// a twentieth of what a SIFScan allocates.
func scanOfJob(_ context.Context, job client.Object) []reconcile.Request {
	scan := controllerOf(job)
	if scan.Name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: scan}}
}

// controllerOf is the SIFScan that controls a Job; without a name where none does.
func controllerOf(job client.Object) types.NamespacedName {
	owner := metav1.GetControllerOfNoCopy(job)
	if owner == nil || owner.APIVersion != v1alpha1.GroupVersion.String() || owner.Kind != "SIFScan" {
		return types.NamespacedName{}
	}
	return types.NamespacedName{Namespace: job.GetNamespace(), Name: owner.Name}
}

// later brings SIFScans back after a while. The queue keeps one entry for each, so that any
// number of events in between is one look.
func later(delay time.Duration, find handler.MapFunc) handler.EventHandler {
	add := func(ctx context.Context, o client.Object, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		for _, request := range find(ctx, o) {
			q.AddAfter(request, delay)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			add(ctx, e.Object, q)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			add(ctx, e.ObjectNew, q)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			add(ctx, e.Object, q)
		},
	}
}
