// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

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
		if got := uidOf(scan); (len(got) == 1) != tc.uid {
			t.Errorf("%s: found by UIDs %v", tc.name, got)
		}
		if got := claimsOf(scan); (len(got) == 1) != tc.claims {
			t.Errorf("%s: found by claims %v", tc.name, got)
		}
	}
}
