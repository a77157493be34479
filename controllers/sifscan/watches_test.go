// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestCachesHoldOnlyWhatIsLookedAt(t *testing.T) {
	full := func() *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Namespace: "hpc", Name: "shared", UID: "u", ResourceVersion: "7", DeletionTimestamp: &metav1.Time{Time: epoch},
			Labels:          map[string]string{"a": "b"},
			Annotations:     map[string]string{"a": "b", v1alpha1.AnnotationRunAsUser: "4242"},
			OwnerReferences: []metav1.OwnerReference{{Name: "o"}},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "m"}},
		}}
	}
	claim, _ := keepIdentity(full())
	if diff := cmp.Diff(metav1.ObjectMeta{
		Namespace: "hpc", Name: "shared", UID: "u", ResourceVersion: "7", DeletionTimestamp: &metav1.Time{Time: epoch},
	}, claim.(*metav1.PartialObjectMetadata).ObjectMeta); diff != "" {
		t.Errorf("claim (-want +got):\n%s", diff)
	}
	namespace, _ := keepOurAnnotations(full())
	if diff := cmp.Diff(map[string]string{v1alpha1.AnnotationRunAsUser: "4242"}, namespace.(*metav1.PartialObjectMetadata).Annotations); diff != "" {
		t.Errorf("namespace (-want +got):\n%s", diff)
	}
}

func TestOnlyTheEndOfARunBringsItsScanBack(t *testing.T) {
	at := metav1.NewTime(epoch)
	running, further := makeScan().obj(), makeScan().with(func(s *v1alpha1.SIFScan) { s.Status.Inventories = 1 }).obj()
	done := makeScan().with(func(s *v1alpha1.SIFScan) { s.Status.CompletionTime = &at }).obj()
	later := metav1.NewTime(epoch.Add(time.Second))
	again := makeScan().with(func(s *v1alpha1.SIFScan) { s.Status.CompletionTime = &later }).obj()
	for _, tc := range []struct {
		name        string
		before, now *v1alpha1.SIFScan
		want        bool
	}{
		{"progress", running, further, false},
		{"the end", further, done, true},
		{"the end of the next run", done, again, true},
		{"nothing", done, done, false},
	} {
		if got := completionChanged().Update(event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.now}); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestAScanIsFoundByItsUIDAndItsClaimsUntilItsRunIsOver(t *testing.T) {
	at := metav1.NewTime(epoch)
	over := func(s *v1alpha1.SIFScan) {
		s.Generation, s.Status.ObservedGeneration = 2, 2
		s.Annotations = map[string]string{v1alpha1.AnnotationRescanAt: "monday"}
		s.Status.LastHandledRescanAt, s.Status.CompletionTime = "monday", &at
	}
	for _, tc := range []struct {
		name        string
		change      func(*v1alpha1.SIFScan)
		uid, claims bool
	}{
		{"its run is over", func(*v1alpha1.SIFScan) {}, false, false},
		{"it runs", func(s *v1alpha1.SIFScan) { s.Status.CompletionTime = nil }, true, true},
		{"its spec changed", func(s *v1alpha1.SIFScan) { s.Generation++ }, true, true},
		{"another run is asked for", func(s *v1alpha1.SIFScan) { s.Annotations[v1alpha1.AnnotationRescanAt] = "tuesday" }, true, true},
		{"it is of nodes, where something may be left", func(s *v1alpha1.SIFScan) {
			s.Spec.Target = v1alpha1.Target{Running: &v1alpha1.RunningTarget{NodeName: "n1"}}
		}, true, false},
	} {
		scan := makeScan().with(over).with(tc.change).obj()
		if got := byUID(scan); (len(got) == 1) != tc.uid {
			t.Errorf("%s: found by UIDs %v", tc.name, got)
		}
		if got := byClaim(scan); (len(got) == 1) != tc.claims {
			t.Errorf("%s: found by claims %v", tc.name, got)
		}
	}
}

func TestAnEventBringsItsOwnScanAndNoneThatIsFoundWithIt(t *testing.T) {
	var uids, claims []string // of one bucket each
	for i := 0; len(uids) < 2 || len(claims) < 2; i++ {
		if uid := fmt.Sprintf("uid-%d", i); len(uids) < 2 && bucketOf(uid) == bucketOf("uid") {
			uids = append(uids, uid)
		}
		if claim := fmt.Sprintf("claim-%d", i); len(claims) < 2 && bucketOf(claim) == bucketOf("claim") {
			claims = append(claims, claim)
		}
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	server := fake.NewClientBuilder().WithScheme(scheme).
		WithIndex(&v1alpha1.SIFScan{}, indexUID, byUID).WithIndex(&v1alpha1.SIFScan{}, indexClaim, byClaim)
	for i, uid := range uids {
		server.WithObjects(makeScan().with(func(s *v1alpha1.SIFScan) {
			s.Name, s.UID, s.Spec.Target.Volume.ClaimName = claims[i], types.UID(uid), claims[i]
		}).obj())
	}
	r := &Reconciler{Client: cacheOf(server.Build())}
	namespace := makeScan().obj().Namespace
	for i, uid := range uids {
		want := []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: claims[i]}}}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: map[string]string{v1alpha1.LabelScanUID: uid}}}
		if got := r.scanOf(t.Context(), pod); !slices.Equal(got, want) {
			t.Errorf("a pod of %s brings %v, want %v", uid, got, want)
		}
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: claims[i]}}
		if got := r.scansOfClaim(t.Context(), claim); !slices.Equal(got, want) {
			t.Errorf("claim %s brings %v, want %v", claims[i], got, want)
		}
	}
}

func TestAJobBringsTheScanThatControlsIt(t *testing.T) {
	scan := makeScan().obj()
	owned := func(change func(*metav1.OwnerReference)) *batchv1.Job {
		owner := metav1.NewControllerRef(scan, v1alpha1.GroupVersion.WithKind("SIFScan"))
		change(owner)
		return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: scan.Namespace, OwnerReferences: []metav1.OwnerReference{*owner}}}
	}
	for name, tc := range map[string]struct {
		change func(*metav1.OwnerReference)
		want   int
	}{
		"its controller":       {func(*metav1.OwnerReference) {}, 1},
		"an owner only":        {func(o *metav1.OwnerReference) { o.Controller = nil }, 0},
		"another kind":         {func(o *metav1.OwnerReference) { o.Kind = "ScanSchedule" }, 0},
		"a SIFScan of another": {func(o *metav1.OwnerReference) { o.APIVersion = "example.com/v1" }, 0},
	} {
		if got := scanOfJob(t.Context(), owned(tc.change)); len(got) != tc.want {
			t.Errorf("%s: brings %v", name, got)
		}
	}
}
