// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestTheCacheHoldsASIFScanAsItIsButForTheCopyOfItsSpec(t *testing.T) {
	scan := makeScan().annotation(v1alpha1.AnnotationRescanAt, "monday").with(func(s *v1alpha1.SIFScan) {
		s.Status = v1alpha1.SIFScanStatus{RunID: "v1-0", Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded, Message: "1 image", LastTransitionTime: metav1.NewTime(epoch)},
		}}
	})
	want := scan.obj()
	got := scan.annotation(corev1.LastAppliedConfigAnnotation, "{}").obj()
	got.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
	if _, err := compact(got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("SIFScan (-want +got):\n%s", diff)
	}
}

func TestWhatCachesHoldHasTextsInCommon(t *testing.T) {
	// Every decoded object has memory of its own.
	decoded := func(text string) string { return strings.Clone(text) }
	texts := func() (all []string) {
		job := makeScan().job()
		job.Labels = map[string]string{decoded(v1alpha1.LabelManagedBy): decoded(v1alpha1.ManagedBy)}
		job.OwnerReferences[0].Kind = decoded("SIFScan")
		job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobConditionType(decoded("Complete")), Message: decoded("reached")}}
		scan := makeScan().with(func(s *v1alpha1.SIFScan) {
			s.Status.Conditions = []metav1.Condition{{Type: decoded("Ready"), Reason: decoded("Succeeded"), Message: decoded("1 image")}}
		}).obj()
		scan.UID = job.OwnerReferences[0].UID
		inventory := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: decoded("ScanInventory")}}
		for _, o := range []any{job, scan, inventory} {
			if _, err := compact(o); err != nil {
				t.Fatal(err)
			}
		}
		for key, value := range job.Labels {
			all = append(all, key, value)
		}
		return append(all, job.OwnerReferences[0].Kind, string(job.Status.Conditions[0].Type), job.Status.Conditions[0].Message, string(scan.UID),
			scan.Status.Conditions[0].Type, scan.Status.Conditions[0].Reason, scan.Status.Conditions[0].Message, inventory.Kind)
	}
	one, other := texts(), texts()
	for i := range one {
		if unsafe.StringData(one[i]) != unsafe.StringData(other[i]) {
			t.Errorf("two objects hold %q twice", one[i])
		}
	}
}
