// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// cacheOf shows of an API server's objects what the caches hold that Caches describes.
func cacheOf(server client.WithWatch) client.WithWatch {
	return interceptor.NewClient(server, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			held := heldOf(o)
			if err := c.Get(ctx, key, o, opts...); err != nil {
				return err
			}
			if held.Label != nil && !held.Label.Matches(labels.Set(o.GetLabels())) {
				return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
			}
			return strip(o, held)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			held := heldOf(list)
			if err := c.List(ctx, list, opts...); err != nil {
				return err
			}
			all, err := meta.ExtractList(list)
			if err != nil {
				return err
			}
			var kept []runtime.Object
			for _, o := range all {
				if held.Label != nil && !held.Label.Matches(labels.Set(o.(client.Object).GetLabels())) {
					continue
				}
				if err := strip(o, held); err != nil {
					return err
				}
				kept = append(kept, o)
			}
			return meta.SetList(list, kept)
		},
	})
}

// heldOf says what is held of the kind of an object, or of the objects of a list.
func heldOf(o runtime.Object) cache.ByObject {
	for of, held := range Caches().ByObject {
		if kindOf(of) == strings.TrimSuffix(kindOf(o), "List") {
			return held
		}
	}
	return cache.ByObject{}
}

func kindOf(o runtime.Object) string {
	if kind := o.GetObjectKind().GroupVersionKind().Kind; kind != "" {
		return kind
	}
	return reflect.TypeOf(o).Elem().Name()
}

func strip(o runtime.Object, held cache.ByObject) error {
	if held.Transform == nil {
		return nil
	}
	stripped, err := held.Transform(o)
	if err == nil && stripped != any(o) {
		reflect.ValueOf(o).Elem().Set(reflect.ValueOf(stripped).Elem())
	}
	return err
}

// cached is an object as a cache shows it.
func cached[T client.Object](o T) T {
	shown := o.DeepCopyObject().(T)
	if err := strip(shown, heldOf(shown)); err != nil {
		panic(err)
	}
	return shown
}

func TestTheCachesOfTestsHoldNoMoreThanTheOperators(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	job, foreign := makeScan().job(), makeScan().job()
	foreign.Name, foreign.Labels = "foreign", nil
	node := makeNode(corev1.ConditionTrue)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "hpc", Name: "shared", UID: claimUID, Labels: map[string]string{"a": "b"}}}
	shows := cacheOf(fake.NewClientBuilder().WithScheme(scheme).WithObjects(job, foreign, node, claim).Build())

	jobs := &batchv1.JobList{}
	if err := shows.List(t.Context(), jobs); err != nil || len(jobs.Items) != 1 || len(jobs.Items[0].Spec.Template.Spec.Containers) > 0 {
		t.Errorf("%d Jobs, or with more than is held, %v", len(jobs.Items), err)
	}
	if err := shows.Get(t.Context(), client.ObjectKeyFromObject(foreign), &batchv1.Job{}); !apierrors.IsNotFound(err) {
		t.Errorf("a Job of somebody else's: %v", err)
	}
	got := &corev1.Node{}
	if err := shows.Get(t.Context(), client.ObjectKeyFromObject(node), got); err != nil || len(got.Status.Images) > 0 || len(got.Status.Conditions) != 1 {
		t.Errorf("Node: %d images, conditions %v, %v", len(got.Status.Images), got.Status.Conditions, err)
	}
	identity := &metav1.PartialObjectMetadata{}
	identity.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"))
	if err := shows.Get(t.Context(), client.ObjectKeyFromObject(claim), identity); err != nil || identity.UID != claimUID || identity.Labels != nil {
		t.Errorf("claim: %+v, %v", identity, err)
	}
	if diff := cmp.Diff(batchv1.JobSpec{Completions: job.Spec.Completions, Parallelism: job.Spec.Parallelism}, cached(job).Spec); diff != "" {
		t.Errorf("Job (-want +got):\n%s", diff)
	}
}
