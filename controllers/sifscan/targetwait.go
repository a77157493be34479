// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// listRetry is how soon a list that is missing is looked for again. Watching the ConfigMaps of a
// whole cluster for one would fill the operator's cache with everybody else's.
const listRetry = 30 * time.Second

// targets returns the UIDs of the claims that are scanned, once everything is there that names targets.
func (r *Reconciler) targets(ctx context.Context, scan *v1alpha1.SIFScan) ([]types.UID, error) {
	s := resolve(&scan.Spec)
	uids, err := r.scannedClaims(ctx, scan.Namespace, &s)
	if err != nil || s.List == nil {
		return uids, err
	}
	return uids, r.listThere(ctx, scan.Namespace, s.List.ConfigMap.Name)
}

// scannedClaims returns the UIDs of the claims that are scanned, once all are there.
func (r *Reconciler) scannedClaims(ctx context.Context, namespace string, s *settings) (uids []types.UID, err error) {
	for _, c := range s.claims() {
		uid, err := r.claim(ctx, namespace, c.name, c.field)
		if err != nil {
			return nil, err
		}
		uids = append(uids, uid)
	}
	return uids, nil
}

// claimLost ends the Job, of which no node has a pod yet, if a claim went away, and waits for that as before the Job was made.
// Under the name may come another claim, or has come: the pod would read it and keep what it finds as the first one's.
func (r *Reconciler) claimLost(ctx context.Context, p *pass) error {
	s := resolve(&p.scan.Spec)
	uids, err := r.scannedClaims(ctx, p.scan.Namespace, &s)
	if err == nil {
		err = r.madeFor(ctx, p.current, s.claims(), uids)
	}
	if !errors.As(err, new(*hold)) && !errors.Is(err, errStale) {
		return err
	}
	if err := r.deleteJob(ctx, p.current); err != nil {
		return err
	}
	return err
}

// madeFor is errStale where a Job was made for other claims of these names. The API server is asked: of a Job's template a cache
// holds nothing.
func (r *Reconciler) madeFor(ctx context.Context, job *batchv1.Job, claims []targetClaim, uids []types.UID) error {
	made := &batchv1.Job{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(job), made); apierrors.IsNotFound(err) {
		return errStale
	} else if err != nil {
		return fmt.Errorf("read Job %s: %w", job.Name, err)
	}
	var args []string
	for _, c := range made.Spec.Template.Spec.InitContainers {
		args = append(args, c.Args...)
	}
	for i, c := range claims {
		if !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, claimArg(c.name, uids[i])) }) {
			return errStale
		}
	}
	return nil
}

// listThere holds a scan whose list is not there. Only metadata is read.
func (r *Reconciler) listThere(ctx context.Context, namespace, name string) error {
	there := &metav1.PartialObjectMetadata{}
	there.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, there)
	if apierrors.IsNotFound(err) {
		return &hold{reason: v1alpha1.ReasonVolumeNotFound, retry: listRetry, message: fmt.Sprintf(
			"ConfigMap %s is not in Namespace %s: create it, or correct spec.target.list.configMap.name", name, namespace)}
	}
	if err != nil {
		return fmt.Errorf("read ConfigMap %s: %w", name, err)
	}
	return nil
}
