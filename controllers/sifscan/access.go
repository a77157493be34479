// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// accessHolds is how long what was seen of a namespace's access is relied upon: a night's scans of one
// namespace begin together.
const accessHolds = 5 * time.Second

// ensureAccess makes the reporter's account and its binding where they are missing. The
// operator may bind one ClusterRole only, and changes nothing that is already there.
func (r *Reconciler) ensureAccess(ctx context.Context, namespace string, now time.Time) error {
	if seen, ok := r.accessSeen.Load(namespace); ok && now.Sub(seen.(time.Time)).Abs() < accessHolds {
		return nil
	}
	if err := r.makeAccess(ctx, namespace); err != nil {
		return err
	}
	r.accessSeen.Store(namespace, now)
	return nil
}

func (r *Reconciler) makeAccess(ctx context.Context, namespace string) error {
	account := &corev1.ServiceAccount{ObjectMeta: accessMeta(namespace)}
	account.AutomountServiceAccountToken = new(bool)
	if err := r.createIfMissing(ctx, account, &corev1.ServiceAccount{}); err != nil {
		return err
	}
	binding, there := reporterBinding(namespace), &rbacv1.RoleBinding{}
	if err := r.createIfMissing(ctx, binding, there); err != nil {
		return err
	}
	return checkBinding(there, binding)
}

// createIfMissing reads into there what has obj's name, and creates obj when nothing does.
func (r *Reconciler) createIfMissing(ctx context.Context, obj, there client.Object) error {
	key := client.ObjectKeyFromObject(obj)
	err := r.Live.Get(ctx, key, there)
	if apierrors.IsNotFound(err) {
		if err = r.Client.Create(ctx, obj); apierrors.IsAlreadyExists(err) {
			return errStale // another worker was faster
		}
	}
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return errStale // the cache does not show it yet
	case apierrors.IsForbidden(err):
		return &hold{reason: v1alpha1.ReasonNotAllowed, retry: refusedRetry, message: fmt.Sprintf(
			"%T %s could not be set up in Namespace %s: %s", obj, key.Name, key.Namespace, printable(err.Error(), maxDetail))}
	case err != nil:
		return fmt.Errorf("set up %T %s: %w", obj, key, err)
	}
	return nil
}

func accessMeta(namespace string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace,
		Name:      v1alpha1.ReporterServiceAccount,
		Labels:    map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
	}
}

func reporterBinding(namespace string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: accessMeta(namespace),
		RoleRef: rbacv1.RoleRef{
			APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: v1alpha1.ReporterClusterRole,
		},
		Subjects: []rbacv1.Subject{{
			Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: v1alpha1.ReporterServiceAccount,
		}},
	}
}

// checkBinding refuses a binding that was there and gives the reporter other rights than it
// should have: the scan would fail at its end, or hold rights that nobody meant it to have.
func checkBinding(there, want *rbacv1.RoleBinding) error {
	if there.Name == "" { // it was missing, and was created
		return nil
	}
	if there.RoleRef == want.RoleRef && slices.Contains(there.Subjects, want.Subjects[0]) {
		return nil
	}
	return &hold{stalled: true, reason: v1alpha1.ReasonNotAllowed, retry: refusedRetry, message: fmt.Sprintf(
		"RoleBinding %s in Namespace %s binds %s %s and not ClusterRole %s to ServiceAccount %s: delete it, the operator creates the right one",
		there.Name, there.Namespace, there.RoleRef.Kind, there.RoleRef.Name, want.RoleRef.Name, want.Subjects[0].Name)}
}
