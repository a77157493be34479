// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sifscan reconciles SIFScans: it turns each into the Job of its current run and tells,
// in the status, what became of it.
//
// Every file but this one and watches.go holds one subject. What decides is a pure function of
// what was read; what reads and writes is a method of Reconciler.
package sifscan

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/controllers/nodepolicy"
)

// +kubebuilder:rbac:groups=sifscan.io,resources=sifscans,verbs=get;list;watch
// +kubebuilder:rbac:groups=sifscan.io,resources=sifscans/status,verbs=update
// +kubebuilder:rbac:groups=sifscan.io,resources=scaninventories,verbs=list;watch;patch;delete
// +kubebuilder:rbac:groups=sifscan.io,resources=scanreports,verbs=get;list;patch;delete
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups="",resources=pods;namespaces;nodes,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=pods,verbs=delete
// +kubebuilder:rbac:groups="",resources=pods/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;delete
// +kubebuilder:rbac:groups="",resources=serviceaccounts,verbs=get;create
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=rolebindings,verbs=get;create
// +kubebuilder:rbac:groups=rbac.authorization.k8s.io,resources=clusterroles,resourceNames=sifscan-reporter,verbs=bind
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconciler reconciles SIFScans.
type Reconciler struct {
	// Client writes, and reads from the caches that Caches describes.
	Client client.Client
	// Live reads from the API server: what is too large to cache, and what a stale cache must not decide.
	Live   client.Reader
	Events events.EventRecorder
	Clock  clock.PassiveClock
	Config OperatorConfig

	ledger   nodeLedger
	readings readings
	vigils   vigils
	// accessSeen is when the reporter's access to a namespace was last seen to be right: name → time.Time.
	accessSeen sync.Map

	ready sync.Once
	slots *slots
	// counting keeps a second look from starting while the first counts what is at work.
	counting sync.Mutex
}

// staleRetry is how soon a SIFScan is looked at again that the cache shows as it was.
const staleRetry = time.Second

// pass is one look at one SIFScan.
type pass struct {
	scan *v1alpha1.SIFScan
	run  string
	now  time.Time
	children
	// pendingDeadline of OperatorConfig.
	pendingDeadline time.Duration
	// before is the status as it was found.
	before        v1alpha1.SIFScanStatus
	announcements []announcement
}

// prepare makes what the reconciler remembers.
func (r *Reconciler) prepare() {
	r.ready.Do(func() { r.slots = newSlots(r.Config.Slots) })
}

// Reconcile brings one SIFScan one step further. The status is written at most once, at the end,
// and Events follow it.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	r.prepare()
	scan := &v1alpha1.SIFScan{}
	if err := r.Client.Get(ctx, req.NamespacedName, scan); apierrors.IsNotFound(err) {
		return ctrl.Result{}, r.releaseDeleted(ctx, req.NamespacedName)
	} else if err != nil {
		return ctrl.Result{}, err
	}
	if going, err := r.going(ctx, scan); err != nil {
		return ctrl.Result{}, err
	} else if going {
		// The garbage collector ends the Job and removes the inventories.
		return ctrl.Result{}, r.releaseDeleted(ctx, req.NamespacedName)
	}
	p := &pass{scan: scan, run: RunID(scan), now: r.Clock.Now(), before: *scan.Status.DeepCopy(), pendingDeadline: r.Config.pendingDeadline()}

	result, err := r.reconcile(ctx, p)
	var h *hold
	if errors.As(err, &h) {
		result, err = p.explain(h), nil
	}
	if err == nil {
		// After an error nobody knows what was done: the slot, if there is one, is kept for the next look.
		r.settleSlot(p, h != nil && h.reason == v1alpha1.ReasonQueued)
		err = r.writeStatus(ctx, p)
	}
	switch {
	case errors.Is(err, errStale):
		return ctrl.Result{RequeueAfter: staleRetry}, nil
	case err != nil:
		return ctrl.Result{}, err
	}
	return result, nil
}

// going reports whether a SIFScan is being deleted, or its Namespace is: nothing can be made in it any more, and whatever its
// SIFScans would be told goes with them.
func (r *Reconciler) going(ctx context.Context, scan *v1alpha1.SIFScan) (bool, error) {
	if !scan.DeletionTimestamp.IsZero() {
		return true, nil
	}
	ns, err := r.namespace(ctx, scan.Namespace)
	if err != nil { // a new one may not be in the cache yet
		return false, client.IgnoreNotFound(err)
	}
	return !ns.DeletionTimestamp.IsZero(), nil
}

// writeStatus writes the status if it changed, and then tells what happened.
func (r *Reconciler) writeStatus(ctx context.Context, p *pass) error {
	if !equality.Semantic.DeepEqual(p.before, p.scan.Status) {
		err := r.Client.Status().Update(ctx, p.scan)
		if apierrors.IsNotFound(err) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return fmt.Errorf("write the status: %w", conflict(err))
		}
	}
	r.emit(p)
	return nil
}

// reconcile is the table of contents.
func (r *Reconciler) reconcile(ctx context.Context, p *pass) (ctrl.Result, error) {
	if p.scan.Spec.Target.Running != nil {
		return r.live(ctx, p)
	}
	var err error
	if p.children, err = r.children(ctx, p.scan, p.run); err != nil {
		return ctrl.Result{}, err
	}
	if p.finished() {
		return r.afterwards(ctx, p)
	}
	p.begin()
	if err := r.endOtherRuns(ctx, p); err != nil {
		return ctrl.Result{}, err
	}
	if _, over := endOf(p.current); !over {
		if p.scan.Spec.Suspend {
			return r.suspend(ctx, p)
		}
		if p.current == nil {
			if err := r.start(ctx, p); err != nil {
				return ctrl.Result{}, err
			}
		}
	}
	return r.observe(ctx, p)
}

// finished reports whether the status holds the outcome of the run that the spec asks for.
func (p *pass) finished() bool {
	return p.scan.Status.RunID == p.run && p.scan.Status.CompletionTime != nil
}

// begin makes the status speak of the run that the spec asks for.
func (p *pass) begin() {
	p.scan.Status.ObservedGeneration = p.scan.Generation
	if p.scan.Status.RunID == p.run {
		return
	}
	conditions := p.scan.Status.Conditions
	p.scan.Status = v1alpha1.SIFScanStatus{
		ObservedGeneration:  p.scan.Generation,
		RunID:               p.run,
		LastHandledRescanAt: p.scan.Annotations[v1alpha1.AnnotationRescanAt],
		// It speaks of the last run that checked all, whichever that was.
		LastFullCoverageTime: p.scan.Status.LastFullCoverageTime,
	}
	for _, c := range conditions {
		// Covered speaks of the last run that ended, whichever that was; Asked of the SIFScan.
		if c.Type == v1alpha1.ConditionCovered || c.Type == nodepolicy.Condition && p.scan.Spec.Target.Running != nil {
			p.scan.Status.Conditions = append(p.scan.Status.Conditions, c)
		}
	}
}

// afterwards is all that still happens to a SIFScan whose run is finished.
func (r *Reconciler) afterwards(ctx context.Context, p *pass) (ctrl.Result, error) {
	observeGeneration(p.scan)
	// A spec that was changed and changed back may have left the Job of the run in between.
	if err := r.endOtherRuns(ctx, p); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.removeOldInventories(ctx, p); err != nil {
		return ctrl.Result{}, err
	}
	look, err := r.takeDown(ctx, p)
	if err != nil {
		return ctrl.Result{}, err
	}
	result, err := r.expire(ctx, p)
	result.RequeueAfter = sooner(result.RequeueAfter, look)
	return result, err
}

// explain turns what holds a run up into conditions.
func (p *pass) explain(h *hold) ctrl.Result {
	if h.ends {
		p.end(stalled(h.reason, h.message))
		return ctrl.Result{}
	}
	if h.stalled {
		stalled(h.reason, h.message).apply(p.scan, p.now)
		return ctrl.Result{RequeueAfter: h.retry}
	}
	left := p.wait(cause{h.reason, h.message}, p.waitingSince())
	if h.retry > 0 && (left == 0 || h.retry < left) {
		left = h.retry
	}
	return ctrl.Result{RequeueAfter: left}
}

// errStale: the cache shows a SIFScan as it was; the next look decides.
var errStale = errors.New("the cache is behind the API server")

// conflict turns the API server's answer to a write over an old version into errStale.
func conflict(err error) error {
	if apierrors.IsConflict(err) {
		return errStale
	}
	return err
}
