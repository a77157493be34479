// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Identity is the user that reads a volume. On NFS and Lustre it decides which images can be
// read at all, so it is never a SIFScan's to choose.
type Identity struct {
	// User id, from 1.
	User int64
	// Group id, from 0.
	Group int64
	// SupplementalGroups are group ids, from 0.
	SupplementalGroups []int64
}

var identityAnnotations = []string{
	v1alpha1.AnnotationRunAsUser, v1alpha1.AnnotationRunAsGroup, v1alpha1.AnnotationSupplementalGroups,
}

// maxID is the largest id that Kubernetes accepts (apimachinery, validation.IsValidUserID).
const maxID = math.MaxInt32

// maxGroups is the kernel's limit for NFS with AUTH_SYS (RFC 5531, 16 groups) with room for
// file systems that have none.
const maxGroups = 64

// Override returns the identity that a Namespace's annotations ask for, field by field.
func (id Identity) Override(annotations map[string]string) (Identity, error) {
	var err error
	if text, ok := annotations[v1alpha1.AnnotationRunAsUser]; ok {
		// The pods run under Pod Security "restricted", which refuses root.
		if id.User, err = parseID(v1alpha1.AnnotationRunAsUser, text, 1); err != nil {
			return id, err
		}
	}
	if text, ok := annotations[v1alpha1.AnnotationRunAsGroup]; ok {
		if id.Group, err = parseID(v1alpha1.AnnotationRunAsGroup, text, 0); err != nil {
			return id, err
		}
	}
	if text, ok := annotations[v1alpha1.AnnotationSupplementalGroups]; ok {
		id.SupplementalGroups, err = parseGroups(text)
	}
	return id, err
}

func parseGroups(text string) ([]int64, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	words := strings.Split(text, ",")
	if len(words) > maxGroups {
		return nil, fmt.Errorf("annotation %s has %d groups: name at most %d", v1alpha1.AnnotationSupplementalGroups, len(words), maxGroups)
	}
	groups := make([]int64, 0, len(words))
	for _, word := range words {
		group, err := parseID(v1alpha1.AnnotationSupplementalGroups, word, 0)
		if err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	return groups, nil
}

func parseID(annotation, text string, lowest int64) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < lowest || n > maxID {
		return 0, fmt.Errorf("annotation %s: %q is not a number from %d to %d", annotation, printable(text, 64), lowest, int64(maxID))
	}
	return n, nil
}

// namespace returns what the cache holds of a Namespace. apierrors.IsNotFound tells of an error that it holds nothing.
func (r *Reconciler) namespace(ctx context.Context, name string) (*metav1.PartialObjectMetadata, error) {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.Client.Get(ctx, types.NamespacedName{Name: name}, ns); err != nil {
		return nil, fmt.Errorf("read Namespace %s: %w", name, err)
	}
	return ns, nil
}

// identity of the scan pods in a namespace.
func (r *Reconciler) identity(ctx context.Context, namespace string) (Identity, error) {
	ns, err := r.namespace(ctx, namespace)
	if err != nil {
		return Identity{}, err
	}
	id, err := r.Config.Identity.Override(ns.Annotations)
	if err != nil {
		return Identity{}, &hold{stalled: true, reason: v1alpha1.ReasonNotAllowed,
			message: fmt.Sprintf("Namespace %s: %v; ask an administrator to correct it", namespace, err)}
	}
	return id, nil
}
