// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

const (
	// collectorRetry is how soon leftovers of a deleted SIFScan are looked for again; the
	// garbage collector usually needs a second or two.
	collectorRetry = 2 * time.Second
	// refusedRetry is how soon a Job is tried again that quota, admission or RBAC refused. No
	// watch tells when that changes.
	refusedRetry = time.Minute
)

// start creates the Job of the run, once everything it needs is there and nothing is in its way.
func (r *Reconciler) start(ctx context.Context, p *pass) error {
	in, err := r.inputs(ctx, p)
	if err != nil {
		return err
	}
	if n := len(p.strays); n > 0 {
		look, err := r.releaseLost(ctx, p.strays, p.now)
		if err != nil {
			return err
		}
		return &hold{reason: v1alpha1.ReasonRunning, retry: look, message: fmt.Sprintf(
			"waiting for %s of an earlier Job to end", counted(n, "pod", "pods"))}
	}
	if err := r.awaitCollector(ctx, p); err != nil {
		return err
	}
	if err := r.takeSlot(ctx, p); err != nil {
		return err
	}
	if err := r.checkFresh(ctx, p.scan); err != nil {
		return err
	}
	if err := r.ensureAccess(ctx, p.scan.Namespace, p.now); err != nil {
		return err
	}
	if in.Workers, err = r.workers(ctx, p); err != nil {
		return err
	}
	return r.createJob(ctx, p, BuildJob(in))
}

// inputs are what the Job is built from, all but the number of workers.
func (r *Reconciler) inputs(ctx context.Context, p *pass) (in JobInputs, err error) {
	in = JobInputs{Scan: p.scan, Run: p.run, Config: r.Config}
	if in.ClaimUIDs, err = r.targets(ctx, p.scan); err != nil {
		return in, err
	}
	if err := errors.Join(r.Config.checkEngine(&p.scan.Spec), checkTmp(&p.scan.Spec)); err != nil {
		return in, err
	}
	if in.Database, in.JavaDB, err = r.databases(ctx, p.scan); err != nil {
		return in, err
	}
	if in.ReportsUID, err = r.reportClaim(ctx, p.scan); err != nil {
		return in, err
	}
	if in.Identity, err = r.identity(ctx, p.scan.Namespace); err != nil {
		return in, err
	}
	return in, checkResources(p.scan.Spec.Resources)
}

// checkFresh compares the SIFScan with the API server's. A cache that has not yet seen that the
// run is finished, and its Job removed, must not start it again.
func (r *Reconciler) checkFresh(ctx context.Context, scan *v1alpha1.SIFScan) error {
	live := &v1alpha1.SIFScan{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(scan), live); err != nil {
		if apierrors.IsNotFound(err) {
			return errStale
		}
		return fmt.Errorf("read the SIFScan again: %w", err)
	}
	if live.UID != scan.UID || live.ResourceVersion != scan.ResourceVersion {
		return errStale
	}
	return nil
}

// createJob creates the Job, or adopts the one that an earlier look created and the cache does
// not show yet.
func (r *Reconciler) createJob(ctx context.Context, p *pass, job *batchv1.Job) error {
	err := r.Client.Create(ctx, job)
	switch {
	case err == nil:
		p.tellJobCreated()
	case apierrors.IsAlreadyExists(err):
		if job, err = r.adopt(ctx, p, job); err != nil {
			return err
		}
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return errStale // the cache does not show yet that the Namespace is being deleted
	case apierrors.IsInvalid(err):
		return &hold{stalled: true, reason: v1alpha1.ReasonInvalidSpec,
			message: "the scan Job was refused, correct the spec: " + printable(err.Error(), maxDetail)}
	case apierrors.IsForbidden(err):
		return &hold{reason: v1alpha1.ReasonNotAllowed, retry: refusedRetry,
			message: "the scan Job was refused: " + printable(err.Error(), maxDetail)}
	default:
		return fmt.Errorf("create Job %s: %w", job.Name, err)
	}
	p.current = job
	if p.scan.Status.StartTime == nil {
		p.scan.Status.StartTime = job.CreationTimestamp.DeepCopy()
	}
	return nil
}

// adopt returns the Job that has the run's name, if it is the run's.
func (r *Reconciler) adopt(ctx context.Context, p *pass, job *batchv1.Job) (*batchv1.Job, error) {
	there := &batchv1.Job{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(job), there); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, errStale
		}
		return nil, fmt.Errorf("read Job %s: %w", job.Name, err)
	}
	switch {
	case isJobOf(there, p.scan, p.run) && there.DeletionTimestamp.IsZero():
		return there, nil
	case isJobOf(there, p.scan, p.run):
		return nil, &hold{reason: v1alpha1.ReasonRunning, message: fmt.Sprintf("waiting for the deletion of Job %s", there.Name)}
	case madeForNamesake(there.OwnerReferences, p.scan):
		return nil, &hold{reason: v1alpha1.ReasonRunning, retry: collectorRetry,
			message: fmt.Sprintf("waiting for Job %s of the deleted SIFScan of this name to be collected", there.Name)}
	}
	return nil, &hold{stalled: true, reason: v1alpha1.ReasonNotAllowed, retry: refusedRetry, message: fmt.Sprintf(
		"Job %s has the name that this run needs and does not belong to this SIFScan: delete the Job, or rename the SIFScan", there.Name)}
}

// madeForNamesake reports whether the owner is a SIFScan of this name that was there before.
func madeForNamesake(owners []metav1.OwnerReference, scan *v1alpha1.SIFScan) bool {
	for _, owner := range owners {
		if owner.APIVersion == v1alpha1.GroupVersion.String() && owner.Kind == "SIFScan" &&
			owner.Name == scan.Name && owner.UID != scan.UID {
			return true
		}
	}
	return false
}

// awaitCollector waits until the inventories are gone that a deleted SIFScan of this name left
// under the names that this run will use.
func (r *Reconciler) awaitCollector(ctx context.Context, p *pass) error {
	inventories := inventoryMetadataList()
	name := v1alpha1.LabelValue(p.scan.Name)
	err := r.Client.List(ctx, inventories, client.InNamespace(p.scan.Namespace), client.MatchingFields{indexName: bucketOf(name)},
		client.MatchingLabels{v1alpha1.LabelScan: name, v1alpha1.LabelRun: p.run})
	if err != nil {
		return fmt.Errorf("list ScanInventories: %w", err)
	}
	for i := range inventories.Items {
		if madeForNamesake(inventories.Items[i].OwnerReferences, p.scan) {
			return &hold{reason: v1alpha1.ReasonRunning, retry: collectorRetry,
				message: "waiting for the ScanInventories of the deleted SIFScan of this name to be collected"}
		}
	}
	return nil
}

// databases returns what the scan's packages are matched with, and the Java database that qscanner reads;
// nil where there is none.
func (r *Reconciler) databases(ctx context.Context, scan *v1alpha1.SIFScan) (database, java *v1alpha1.DatabaseSource, err error) {
	s := resolve(&scan.Spec)
	switch {
	case s.Database != nil:
		_, err = r.claim(ctx, scan.Namespace, s.Database.ClaimName, "spec.scanner.native.database.claimName")
		return s.Database, nil, err
	case s.Engine == v1alpha1.EngineNative:
		database, err = r.shared(ctx, scan.Namespace, r.Config.Database)
	case s.Engine == v1alpha1.EngineQscanner:
		java, err = r.shared(ctx, scan.Namespace, r.Config.Qscanner.JavaDB)
	case s.Trivy != nil:
		_, err = r.claim(ctx, scan.Namespace, s.Trivy.ClaimName, "spec.scanner.trivy.database.claimName")
	}
	return database, java, err
}

// shared returns what the operator's configuration offers on a claim of each namespace; nil where the
// namespace has no such claim, and so has chosen to go without.
func (r *Reconciler) shared(ctx context.Context, namespace string, source *v1alpha1.DatabaseSource) (*v1alpha1.DatabaseSource, error) {
	if source == nil {
		return nil, nil
	}
	var h *hold
	// A cache may not show yet what was applied together with the SIFScan, which would then be scanned without a database.
	for _, from := range []client.Reader{r.Client, r.Live} {
		_, err := claimIn(ctx, from, namespace, source.ClaimName, "the operator's flags")
		if !errors.As(err, &h) {
			return source, err
		}
	}
	return nil, nil
}

// claim returns the UID of a PersistentVolumeClaim that a field names, as the cache knows it.
func (r *Reconciler) claim(ctx context.Context, namespace, name, field string) (types.UID, error) {
	return claimIn(ctx, r.Client, namespace, name, field)
}

func claimIn(ctx context.Context, from client.Reader, namespace, name, field string) (types.UID, error) {
	claim := &metav1.PartialObjectMetadata{}
	claim.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"))
	err := from.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, claim)
	switch {
	case apierrors.IsNotFound(err):
		return "", &hold{reason: v1alpha1.ReasonVolumeNotFound, message: fmt.Sprintf(
			"PersistentVolumeClaim %s is not in Namespace %s: create it, or correct %s", name, namespace, field)}
	case err != nil:
		return "", fmt.Errorf("read PersistentVolumeClaim %s: %w", name, err)
	case !claim.DeletionTimestamp.IsZero():
		return "", &hold{reason: v1alpha1.ReasonVolumeNotFound, message: fmt.Sprintf(
			"PersistentVolumeClaim %s is being deleted: the scan starts once there is a new one", name)}
	}
	return claim.UID, nil
}
