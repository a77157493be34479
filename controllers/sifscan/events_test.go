// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package sifscan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestWhatSomebodyShouldLookAtIsAWarning(t *testing.T) {
	for reason, want := range map[string]string{
		v1alpha1.ReasonInvalidSpec: corev1.EventTypeWarning, v1alpha1.ReasonVolumeNotFound: corev1.EventTypeWarning,
		v1alpha1.ReasonOOMKilled: corev1.EventTypeWarning, v1alpha1.ReasonNotAllowed: corev1.EventTypeWarning,
		v1alpha1.ReasonQueued: corev1.EventTypeNormal, v1alpha1.ReasonSuspended: corev1.EventTypeNormal,
		v1alpha1.ReasonRunning: corev1.EventTypeNormal, v1alpha1.ReasonSucceeded: corev1.EventTypeNormal,
	} {
		status := &v1alpha1.SIFScanStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason}}}
		if got := severityOf(status); got != want {
			t.Errorf("%s is of type %s, want %s", reason, got, want)
		}
	}
}

func TestThatAJobWasCreatedIsAnEventUnlessItsScanHadQueued(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before string
		want   []string
	}{
		{"at once", "", []string{"Normal JobCreated Created Job " + JobName("shared-images", "v1-0")}},
		{"after it waited for a volume", v1alpha1.ReasonVolumeNotFound, []string{"Normal JobCreated Created Job " + JobName("shared-images", "v1-0")}},
		{"after it had queued", v1alpha1.ReasonQueued, nil},
	} {
		scan := makeScan().obj()
		p := &pass{scan: scan, run: "v1-0", now: epoch}
		if tc.before != "" {
			waiting(tc.before, "").apply(scan, epoch)
			p.before = *scan.Status.DeepCopy()
		}
		p.tellJobCreated()
		waiting(v1alpha1.ReasonRunning, "").apply(scan, epoch)
		recorder := events.NewFakeRecorder(10)
		(&Reconciler{Events: recorder}).emit(p)
		close(recorder.Events)
		var got []string
		for event := range recorder.Events {
			got = append(got, event)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: Events (-want +got):\n%s", tc.name, diff)
		}
	}
}
